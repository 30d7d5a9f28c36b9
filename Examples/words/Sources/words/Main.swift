import JobWorkerCommand
import WordJobs

@main enum Main {
    static func main() async { await WorkerProgram(name: "words") { [CountWords()] }.main() }
}
