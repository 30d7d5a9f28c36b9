import FoundationEssentials
package import JobWorker
import Postgres
package import Terminal

/// Workflows as lines of a table.
package struct WorkflowListView: View {
    private let workflows: [Workflow]

    package init(_ workflows: [Workflow]) { self.workflows = workflows }

    package var json: JSON { .object([("workflows", .array(workflows.map { .object($0.members) }))]) }

    package func text(for screen: Screen) -> String {
        guard !workflows.isEmpty else { return "" }
        var table = Table([
            .init("ID"), .init("NAME", widthMin: 8), .init("STATE"), .init("WORKSPACE", widthMin: 8, weight: 1),
            .init("ADDED"),
        ])
        for workflow in workflows {
            table.add([
                .init(workflow.id.text), .init(workflow.name ?? "-"), workflow.stateCell,
                .init(workflow.workspaceID.text), .init(workflow.createdAt.ago(workflow.asOf)),
            ])
        }
        return table.text(for: screen)
    }
}

/// A workflow with its jobs, also as a picture for other programs.
package struct WorkflowView: View {
    private let workflow: Workflow
    private let steps: [WorkflowStep]
    private let titles: [UUID: String]

    package init(_ workflow: Workflow, _ steps: [WorkflowStep]) {
        self.workflow = workflow
        self.steps = steps
        titles = Dictionary(steps.map { ($0.id, $0.title) }) { first, _ in first }
    }

    package var json: JSON {
        .object(
            workflow.members + [
                (
                    "jobs",
                    .array(
                        steps.map { step in
                            .object([
                                ("id", .string(step.id.text)), ("name", JSON(step.name)),
                                ("job_type", .string(step.type)), ("status", .string(step.status)),
                                ("percentage", JSON(step.percentage)), ("error_message", JSON(step.errorMessage)),
                                (
                                    "after",
                                    .array(
                                        zip(step.parents, step.policies).map { parent, policy in
                                            .object([
                                                ("id", .string(parent.text)), ("name", JSON(titles[parent])),
                                                ("on_dependency_failure", .string(policy)),
                                            ])
                                        })
                                ),
                            ])
                        })
                )
            ])
    }

    package func text(for screen: Screen) -> String {
        let palette = screen.palette
        let ended = steps.count { JobStatus(rawValue: $0.status)?.isFinal ?? false }
        var text =
            "\(palette.paint(workflow.name?.oneLine ?? workflow.id.text, .strong))  "
            + "\(palette.paint(workflow.stateCell.text, workflow.stateCell.tone))  \(ended) of \(steps.count) jobs ended\n\n"
        var table = Table([
            .init("NAME", widthMin: 8), .init("TYPE", widthMin: 8), .init("STATUS"), .init("AFTER", widthMin: 8),
            .init("NOTE", widthMin: 8, weight: 1),
        ])
        for step in steps {
            let parents = step.parents.map { titles[$0] ?? $0.text }.sorted().joined(separator: ", ")
            let tone = JobStatus(rawValue: step.status).flatMap(JobWords.tone)
            let percentage = step.status == "processing" ? step.percentage.map { "\($0) %" } : nil
            table.add([
                .init(step.title), .init(step.type), .init(step.status, tone), .init(parents),
                .init(step.errorMessage ?? percentage ?? ""),
            ])
        }
        text += table.text(for: screen)
        return text
    }

    /// Each job's place, as names in a picture.
    private var places: [UUID: String] {
        Dictionary(steps.enumerated().map { ($1.id, "j\($0 + 1)") }) { first, _ in first }
    }

    /// For Graphviz.
    package var dot: [String] {
        let places = places
        var lines = ["digraph workflow {", "  rankdir=LR;", "  node [shape=box];"]
        for step in steps {
            guard let place = places[step.id] else { continue }
            lines.append("  \(place) [label=\"\(WorkflowView.plain(step.title))\\n\(step.status)\"];")
        }
        for (parent, child, policy) in edges(places) {
            lines.append("  \(parent) -> \(child)\(policy == "run" ? " [style=dashed]" : "");")
        }
        return lines + ["}"]
    }

    /// For Mermaid.
    package var mermaid: [String] {
        let places = places
        var lines = ["flowchart LR"]
        for step in steps {
            guard let place = places[step.id] else { continue }
            lines.append("  \(place)[\"\(WorkflowView.plain(step.title))<br>\(step.status)\"]")
        }
        for (parent, child, policy) in edges(places) {
            lines.append("  \(parent) \(policy == "run" ? "-.->" : "-->") \(child)")
        }
        return lines
    }

    private func edges(_ places: [UUID: String]) -> [(String, String, String)] {
        steps.flatMap { step in
            zip(step.parents, step.policies).compactMap { parent, policy in
                guard let from = places[parent], let to = places[step.id] else { return nil }
                return (from, to, policy)
            }
        }
    }

    /// Names hold nothing that needs quoting; this is for those that other programs have written.
    private static func plain(_ text: String) -> String {
        String(text.oneLine.map { "\"\\<>".contains($0) ? "'" : $0 })
    }
}

/// What a change of a whole workflow did.
package struct WorkflowChangeView: View {
    private let count: Int
    private let words: String

    /// - Parameter words: As in "3 jobs cancelled".
    package init(_ count: Int, _ words: String) {
        self.count = count
        self.words = words
    }

    package var json: JSON { .object([("changed", .integer(count))]) }

    package func text(for screen: Screen) -> String { "\(count) \(count == 1 ? "job" : "jobs") \(words)\n" }
}

extension Workflow {
    fileprivate var members: [(String, JSON)] {
        [
            ("id", .string(id.text)), ("workspace_id", .string(workspaceID.text)), ("name", JSON(name)),
            ("state", JSON(state?.rawValue)), ("created_at", .string(createdAt.description)),
        ]
    }

    fileprivate var stateCell: Table.Cell {
        switch state {
        case .running: .init("running", .busy)
        case .completed: .init("completed", .good)
        case .failed: .init("failed", .bad)
        case .cancelled: .init("cancelled", .faint)
        case nil: .init("empty", .faint)
        }
    }
}
