import Glibc
package import Postgres

extension Timestamp {
    /// By this machine's clock: to be shown, never stored or compared with the database's.
    package static var now: Timestamp {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Timestamp(microseconds: Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000)
    }
}
