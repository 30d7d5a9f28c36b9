import JobWorker
import Postgres
import Support
import Testing

/// What the server tells of a statement that it has prepared: how it would find its rows.
struct PreparedPlan {
    struct Scan: Hashable {
        let kind: String
        let relation: String?
        let index: String?
        /// Whether all that it finds is sorted before the first row is locked.
        var isSorted = false
    }

    /// As its comment says, such as `claim`.
    let name: String
    let text: String
    let scans: [Scan]
    /// Rows that it expects from tables that grow, but for those of which a LIMIT takes only the first.
    let estimatedRows: Double

    /// Tables that hold more the longer the application runs.
    static let growing: Set<String> = [
        "jobs", "job_logs", "jobs_archive", "webhook_deliveries", "job_operation_items", "job_dependencies",
        "dependency_notes", "job_audit", "dead_letter_queue", "run_figures", "job_batches", "job_workflows",
    ]

    /// Tables that it reads from one end to the other.
    var readWhole: Set<String> {
        Set(scans.filter { $0.kind == "Seq Scan" }.compactMap(\.relation)).intersection(Self.growing)
    }

    /// The indexes of `jobs` that it uses.
    var indexesOfJobs: Set<String> { Set(scans.compactMap(\.index).filter { $0.hasPrefix("jobs_") }) }

    init(name: String, text: String, plan: JSONValue) {
        (self.name, self.text) = (name, text)
        scans = Self.scans(in: plan)
        estimatedRows = Self.rows(in: plan, isCut: false)
    }

    private static func scans(in plan: JSONValue) -> [Scan] {
        var found: [Scan] = []
        if let kind = plan["Node Type"]?.string, kind.contains("Scan") {
            found.append(Scan(kind: kind, relation: plan["Relation Name"]?.string, index: plan["Index Name"]?.string))
        }
        for child in plan["Plans"]?.array ?? [] { found += scans(in: child) }
        if plan["Node Type"]?.string == "LockRows", plan["Plans"]?.array?.first?["Node Type"]?.string == "Sort" {
            for place in found.indices { found[place].isSorted = true }
        }
        return found
    }

    /// - Parameter isCut: Whether a LIMIT above stops it: nothing in between needs all rows before it gives the first.
    private static func rows(in plan: JSONValue, isCut: Bool) -> Double {
        let kind = plan["Node Type"]?.string ?? ""
        var isCut = isCut
        if kind == "Limit" { isCut = true }
        if ["Sort", "Aggregate", "Hash", "Materialize", "ModifyTable", "WindowAgg", "SetOp"].contains(kind) {
            isCut = false
        }
        let children = (plan["Plans"]?.array ?? []).map { child in
            // Plans beside this one run by themselves.
            let isBeside = ["InitPlan", "SubPlan"].contains(child["Parent Relationship"]?.string)
            return rows(in: child, isCut: isCut && !isBeside)
        }.reduce(0, +)
        guard !isCut, kind.contains("Scan"), let relation = plan["Relation Name"]?.string, growing.contains(relation)
        else { return children }
        return children + (plan["Plan Rows"]?.double ?? 0)
    }
}

extension TestDatabase {
    /// Runs `statements` on one connection, then asks the server for the plan of each that it has prepared for them: the
    /// one for any values, which PostgreSQL may come to use, and which doesn't know how few they are.
    /// - Parameter avoidingWholeTables: Where a table holds next to nothing, it would be read whole although an index is
    ///   there; with this it is only where none is.
    func plans(
        avoidingWholeTables: Bool = false, _ statements: (JobStore) async throws -> Void
    ) async throws -> [PreparedPlan] {
        var settings = workerSettings
        settings.connectionString += "&options=-c%20plan_cache_mode%3Dforce_generic_plan"
        if avoidingWholeTables { settings.connectionString += "%20-c%20enable_seqscan%3Doff" }
        let pool = ConnectionPool(settings, limit: 1)
        try await statements(JobStore(pool: pool))
        var found: [PreparedPlan] = []
        let prepared = try await pool.query(
            "SELECT name, statement, cardinality(parameter_types) AS count FROM pg_prepared_statements")
        for statement in prepared {
            let name: String = try statement.decode("name")
            let text: String = try statement.decode("statement")
            guard text.contains("/* jobworker:") else { continue }
            let nulls = Array(repeating: "NULL", count: try statement.decode("count")).joined(separator: ", ")
            let call = nulls.isEmpty ? name : "\(name)(\(nulls))"
            let rows = try await pool.query(Statement(stringLiteral: "EXPLAIN (FORMAT JSON) EXECUTE \(call)"))
            let plan = try rows[0].decode("QUERY PLAN", as: JSONText.self).decode(JSONValue.self)
            let fullName = Statement(stringLiteral: text).name
            found.append(
                PreparedPlan(
                    name: String(fullName.trimmingPrefix("jobworker:")), text: text,
                    plan: try #require(plan.array?.first?["Plan"])))
        }
        await pool.close()
        return found
    }
}
