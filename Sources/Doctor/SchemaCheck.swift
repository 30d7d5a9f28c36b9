import JobWorker
import Postgres

enum SchemaCheck {
    static func finding(_ state: JobStore.SchemaState) -> Finding {
        switch state {
        case .current: .ok("schema", "is this program's")
        case .behind(let missing):
            .fail(
                "schema", "\(counted(missing, "migration")) \(missing == 1 ? "is" : "are") missing",
                advice: "Run 'jobworker migrate' as the owner of the tables ('--dry-run' shows what it would do).")
        case .ahead(let version):
            .fail(
                "schema", "holds migration \(version), which this program doesn't know",
                advice: "Install the version of jobworker that migrated it, or a later one.")
        }
    }

    static func unreadable(_ error: PostgresError) -> Finding {
        .fail("schema", "\(error)", advice: "The role has to be a member of 'jobworker', see below.")
    }
}
