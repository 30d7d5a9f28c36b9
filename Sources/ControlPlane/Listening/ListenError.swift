import Glibc
import NIOCore

/// Why the control plane can't listen somewhere.
package struct ListenError: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Reason: Sendable, Hashable {
        /// Another process answers there.
        case inUse
        /// Another process is making or removing a socket in the same directory at this moment.
        case busy
        /// Something is there that this process did not make, and won't remove: what it is.
        case occupied(String)
        /// More bytes than a Unix socket's path may have, or none.
        case badPath
        /// The descriptor is not a socket that accepts connections.
        case notListening
        /// The operating system refused: what was tried, and its `errno`.
        case system(String, code: Int32)
        /// Another refusal, as a sentence.
        case other(String)
    }

    /// As `ListenAddress` prints it.
    package let address: String
    package let reason: Reason

    package var description: String {
        switch reason {
        case .inUse: "\(address) is in use: another process answers there. Stop it or choose another address."
        case .busy: "\(address): another process is setting up a socket in this directory at this moment. Try again."
        case .occupied(let what): "\(address) is \(what), which is not replaced. Remove it or choose another path."
        case .badPath: "\(address): the path of a Unix socket has 1 to \(SocketFile.pathBytesMax) bytes and no NUL."
        case .notListening: "\(address) is not a listening stream socket."
        case .system(let call, let code): "\(address): \(call): \(String(cString: strerror(code)))."
        case .other(let reason): "\(address): \(reason)."
        }
    }
}

extension ListenError {
    /// Puts the reason for which binding failed into words.
    init(_ address: ListenAddress, _ error: any Error) {
        switch error {
        case let error as ListenError: self = error
        case let error as IOError where error.errnoCode == EADDRINUSE:
            self.init(address: "\(address)", reason: .inUse)
        case let error as IOError: self.init(address: "\(address)", reason: .system("bind", code: error.errnoCode))
        default: self.init(address: "\(address)", reason: .other("\(error)"))
        }
    }
}
