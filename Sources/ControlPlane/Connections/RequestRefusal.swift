/// Why a request's body is not read to its end. The body's reader throws it.
enum RequestRefusal: Error, Hashable {
    case bodyTooLarge
    case bodyTooSlow
}
