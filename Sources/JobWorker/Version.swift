/// The program as it names itself: on the command line, in health and to the database.
package enum Program {
    package static let version = "0.1.0"
}
