import ArgumentParser
import JobWorker

struct Workflows: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "workflow", abstract: "Adds, shows and changes jobs that wait for each other.",
        discussion: """
            Examples:
              jobworker workflow run import.json --workspace $WS
              jobworker workflow split resize --finally report --size 500 --items images.jsonl --workspace $WS
              jobworker workflow show $ID --dot | dot -Tsvg > import.svg
              jobworker workflow retry $ID
            """,
        subcommands: [
            WorkflowRun.self, WorkflowSplit.self, WorkflowShow.self, WorkflowList.self, WorkflowCancel.self,
            WorkflowRetry.self,
        ])
}
