import ArgumentParser
import FoundationEssentials
import Glibc

/// `chaos figures`: how long recovery takes, each figure beside its goal.
///
/// One scene after the other on a server of its own, without other load, by the clock that server and harness share.
struct Figures: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "figures", abstract: "Measures how long recovery takes, beside the goals.")

    @Argument(help: "Only figures whose title holds one of these words.")
    var words: [String] = []

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        let directory = "/tmp/jobworker-figures-\(getpid())"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        var (passed, failed) = (0, 0)
        for (number, scene) in Figures.scenes.enumerated()
        where words.isEmpty || words.contains(where: scene.title.contains) {
            let database = try await ChaosDatabase.start(in: "\(directory)/postgres-\(number)")
            let stage = Stage(database: database, directory: "\(directory)/\(number)")
            do {
                for figure in try await scene.measure(stage) {
                    print(figure.line)
                    fflush(nil)
                    if figure.isReached { passed += 1 } else { failed += 1 }
                }
            } catch {
                print("FAILED \(scene.title): \(error)")
                failed += 1
            }
            await stage.close()
        }
        print("\(passed) passed, \(failed) failed")
        if failed > 0 { throw ExitCode(1) }
    }

    struct Scene: Sendable {
        let title: String
        let measure: @Sendable (Stage) async throws -> [Figure]
    }

    private static let scenes = [
        Scene(title: "killed", measure: measureKills),
        Scene(title: "killed and started again", measure: measureRestarts),
        Scene(title: "cut off", measure: measureOverlap),
        Scene(title: "database crashes", measure: measureCrashes),
        Scene(title: "listening connection", measure: measureListening),
        Scene(title: "told to stop", measure: measureStops),
        Scene(title: "retries", measure: measureRetries),
        Scene(title: "migrations", measure: measureMigrations),
    ]
}
