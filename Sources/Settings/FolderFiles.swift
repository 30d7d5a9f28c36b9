import FoundationEssentials
import Glibc

/// The YAML files of a folder that people fill.
package struct FolderFiles: Sendable {
    /// In the order of their names; empty where there is no such folder.
    package let paths: [String]

    /// Nothing is known of what the folder holds: that isn't the same as an empty one.
    package struct Problem: Error {
        /// In words that follow the folder's path.
        package let text: String
    }

    package init(in folder: String) throws(Problem) {
        do {
            paths = try FileManager.default.contentsOfDirectory(atPath: folder)
                .filter { !$0.hasPrefix(".") && ($0.hasSuffix(".yaml") || $0.hasSuffix(".yml")) }.sorted()
                .map { "\(folder)/\($0)" }
        } catch let error as CocoaError where error.code == .fileReadNoSuchFile {
            paths = []
        } catch {
            let code = (error as? CocoaError)?.underlying as? POSIXError
            throw Problem(text: "the folder can't be read: \(code.map { reason($0.code.rawValue) } ?? "\(error)")")
        }
    }
}
