import JobWorkerCommand

@main enum Main {
    static func main() async { await WorkerProgram().main() }
}
