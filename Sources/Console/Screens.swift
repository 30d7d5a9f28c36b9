import FoundationEssentials
import Logs
package import Terminal

extension Screen {
    /// What lines for an output are made for: as wide as the terminal, coloured where that is wanted.
    package static func of(_ output: Output) -> Screen {
        let environment = ProcessInfo.processInfo.environment
        let isColoured = LogColour.isWanted(
            isTerminal: output.isTerminal, noColor: environment["NO_COLOR"], term: environment["TERM"])
        return Screen(width: output.width, palette: Palette(isColoured: isColoured))
    }
}
