package import JobWorker
import Terminal

/// A file with a job a line, in JSON.
@MainActor
package struct JobFile {
    package static let batchSize = 500
    private static let lineBytesMax = JobDraft.payloadBytesMax + 64 * 1024
    private static let mistakesMax = 20

    private let path: String
    private let defaults: JobDraft

    /// - Parameters:
    ///   - path: `-` for standard input.
    ///   - defaults: For what a line leaves out.
    package init(path: String, defaults: JobDraft) {
        self.path = path
        self.defaults = defaults
    }

    /// Reads every line once to find mistakes, where the file can be read twice.
    /// - Throws: `Complaint`, with the first mistakes and their lines.
    package func check() throws {
        var reader = try open()
        guard reader.isRepeatable else { return }
        var number = 0
        var mistakes: [String] = []
        while let line = try next(&reader, &number), mistakes.count < JobFile.mistakesMax {
            do throws(JobMistakes) {
                _ = try JobDraft(json: line, defaults: defaults).checked()
            } catch {
                mistakes += error.sentences.map { "line \(number): \($0)" }
            }
        }
        guard mistakes.isEmpty else {
            throw Complaint(
                .usage, "\(name) can't be used:\n" + mistakes.map { "  \($0)" }.joined(separator: "\n"),
                advice: "Nothing was added.")
        }
    }

    /// Hands the jobs on in batches, in the order of the lines.
    /// - Parameter take: Gets the number of the batch's last line, too.
    /// - Throws: `Complaint` of a line; what `take` throws.
    package func read(_ take: ([NewJob], Int) async throws -> Void) async throws {
        var reader = try open()
        var number = 0
        var batch: [NewJob] = []
        while let line = try next(&reader, &number) {
            do throws(JobMistakes) {
                batch.append(try JobDraft(json: line, defaults: defaults).checked())
            } catch {
                throw Complaint(
                    .usage, error.sentences.map { "line \(number) of \(name): \($0)" }.joined(separator: "\n"))
            }
            if batch.count == JobFile.batchSize {
                try await take(batch, number)
                batch = []
            }
        }
        if !batch.isEmpty { try await take(batch, number) }
    }

    private var name: String { path == "-" ? "standard input" : path }

    private func open() throws -> LineReader {
        do throws(LineReader.Problem) {
            return try LineReader(path: path)
        } catch { throw Complaint(.usage, "\(name) \(error)") }
    }

    /// The next line that isn't empty.
    private func next(_ reader: inout LineReader, _ number: inout Int) throws -> String? {
        do throws(LineReader.Problem) {
            while let line = try reader.line(limit: JobFile.lineBytesMax) {
                number += 1
                if line.contains(where: { !$0.isWhitespace }) { return line }
            }
            return nil
        } catch { throw Complaint(.usage, "line \(number + 1) of \(name) \(error)") }
    }
}
