import CLibSystemd

/// The memory of this process, where secrets are decrypted.
public enum ProcessMemory {
    /// Keeps it out of core dumps and away from other processes of the same user (prctl(2), PR_SET_DUMPABLE).
    /// - Returns: Whether the kernel took it.
    @discardableResult
    public static func forbidDumps() -> Bool { shim_forbid_dumps() == 0 }
}
