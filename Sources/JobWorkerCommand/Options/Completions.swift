import ArgumentParser
import Console
import FoundationEssentials
import Settings

/// What a shell offers to complete a command line with, out of the database. A shell waits for it: it has a second, and
/// says nothing where it fails.
enum Completions {
    static let queues = names(.queues)
    static let types = names(.types)
    static let workers = names(.workers)
    static let workspaces = names(.workspaces)
    static let jobs = names(.jobs)

    private static func names(_ kind: NameLookup.Kind) -> CompletionKind {
        .custom { words, _, prefix in
            // Of the words typed before, those that say which database.
            let file = words.firstIndex(of: "--config").map { words.index(after: $0) }
                .flatMap { words.indices.contains($0) ? words[$0] : nil }
            let names = await NameLookup(.ofProcess(file: file)).names(kind, beginningWith: prefix)
            // In zsh what follows a colon would be an explanation.
            let isZsh = ProcessInfo.processInfo.environment["SAP_SHELL"] == "zsh"
            return isZsh ? names.map { $0.replacing(":", with: "\\:") } : names
        }
    }
}
