import CLibSystemd
import Glibc

/// Descriptors that systemd opened for this process: its sockets, and what it kept over a restart
/// (sd_listen_fds(3)).
public enum ListenSockets {
    /// Takes the descriptors over; they are the caller's to close and are not inherited by children.
    ///
    /// The names are the socket units' `FileDescriptorName=`, else the units' own names; tell what a
    /// descriptor is by its name or `isListening(_:)`, never by its place. Changes the environment, so
    /// that a second call finds nothing: call it once, before other threads start.
    /// - Throws: `SystemdError` when the variables are damaged.
    public static func take() throws(SystemdError) -> [(descriptor: Int32, name: String)] {
        var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        let count = sd_listen_fds_with_names(1, &names)
        guard count >= 0 else { throw SystemdError("taking over the listening sockets", code: -count) }
        defer { free(names) }
        return (0..<count).map { index in
            let name = names?[Int(index)]
            defer { free(name) }
            return (SD_LISTEN_FDS_START + index, name.map { String(cString: $0) } ?? "unknown")
        }
    }

    /// Whether `descriptor` is a stream socket that accepts connections.
    public static func isListening(_ descriptor: Int32) -> Bool {
        sd_is_socket(descriptor, AF_UNSPEC, Int32(SOCK_STREAM.rawValue), 1) > 0
    }
}
