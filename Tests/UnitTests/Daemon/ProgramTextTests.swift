import Foundation
import Testing

@testable import Daemon

struct ProgramTextTests {
    @Test func `only code from files is found in a list of mappings`() {
        let maps = """
            55d0c0a00000-55d0c0b00000 r--p 00000000 08:01 131 /usr/bin/jobworker
            55d0c0b00000-55d0c0d00000 r-xp 00100000 08:01 131 /usr/bin/jobworker
            55d0c0d00000-55d0c0e00000 rw-p 00300000 08:01 131 /usr/bin/jobworker
            7f1000000000-7f1000001000 r-xp 00000000 00:00 0
            7f1000200000-7f1000300000 r-xp 00001000 08:01 77  /usr/lib/a name with spaces.so (deleted)
            7ffd00000000-7ffd00002000 r-xp 00000000 00:00 0 [vdso]
            nonsense
            """
        #expect(
            ProgramText.ranges(in: maps) == [
                0x55d0_c0b0_0000..<0x55d0_c0d0_0000, 0x7f10_0020_0000..<0x7f10_0030_0000,
            ])
    }

    @Test func `the process goes on after its code was unloaded`() throws {
        #expect(ProgramText.unload() > 1_000_000)
        #expect(try JSONDecoder().decode([Int].self, from: Data("[1, 2]".utf8)) == [1, 2])
    }
}
