/// The catalogue.
enum FaultKind: String, Sendable, CaseIterable {
    // Of a worker's process.
    case kill, killAndPause, drain, freezeShort, freezeLong
    // Of its way to the database.
    case stallShort, stallLong, stallAnswers, stallRequests, cut, refuse, dropReply, dropRequest
    // Of the database, for everybody.
    case terminateBackend, restartFast, restartImmediate, tableLock, rowLock, storm, rollback

    var weight: Int {
        switch self {
        case .drain, .freezeLong, .stallLong, .dropReply, .terminateBackend: 4
        case .kill, .killAndPause, .freezeShort, .stallAnswers, .stallRequests, .cut: 3
        case .stallShort, .refuse, .dropRequest, .rowLock, .rollback: 2
        case .restartFast, .restartImmediate, .tableLock, .storm: 1
        }
    }

    var isOfOneWorker: Bool {
        switch self {
        case .terminateBackend, .restartFast, .restartImmediate, .tableLock, .rowLock, .storm, .rollback: false
        default: true
        }
    }

    static let choices = allCases.map { (weight: $0.weight, value: $0) }
}
