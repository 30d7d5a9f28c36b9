import Glibc

/// Asks for a secret at the terminal, without showing it.
public enum SecretPrompt {
    /// Whether standard input is a terminal, so that there is somebody to ask.
    public static var isPossible: Bool { isatty(STDIN_FILENO) == 1 }

    /// Asks, and waits for a line. The terminal is as before when it returns, whatever was typed.
    /// - Returns: `nil` when the person gave up.
    public static func ask(_ question: String, on output: Output = .error) -> String? {
        var saved = termios()
        guard tcgetattr(STDIN_FILENO, &saved) == 0 else { return nil }
        var silent = saved
        // No signals and no line editing by the terminal: a Ctrl-C must not leave it without its echo.
        silent.c_lflag &= ~tcflag_t(ECHO | ISIG | ICANON)
        output.write(question)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent)
        defer {
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved)
            output.write("\n")
        }
        var typed = TypedLine()
        while true {
            var byte: UInt8 = 0
            let count = read(STDIN_FILENO, &byte, 1)
            if count < 0, errno == EINTR { continue }
            guard count == 1 else { return nil }
            switch typed.take(byte) {
            case .more: continue
            case .done(let text): return text
            case .givenUp: return nil
            }
        }
    }
}

/// A line as it is typed, byte by byte.
struct TypedLine {
    enum Step: Equatable {
        case more
        case done(String)
        case givenUp
    }

    private var bytes: [UInt8] = []

    mutating func take(_ byte: UInt8) -> Step {
        switch byte {
        case 0x0A, 0x0D: return .done(String(decoding: bytes, as: UTF8.self))
        case 0x03: return .givenUp
        case 0x04: return bytes.isEmpty ? .givenUp : .done(String(decoding: bytes, as: UTF8.self))
        case 0x08, 0x7F:
            // A character, not a byte of it.
            while let last = bytes.popLast(), last & 0xC0 == 0x80 {}
        case 0x15: bytes = []
        case ..<0x20: break
        default: bytes.append(byte)
        }
        return .more
    }
}
