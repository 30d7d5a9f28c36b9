/// One step of the schema: a file of this folder, embedded in the program.
public struct Migration: Sendable {
    /// The number in front of the file's name; steps run in its order.
    public let version: Int
    /// The rest of the file's name, without `.sql`.
    public let name: String
    public let sql: String

    /// The file's name without `.sql`.
    public var label: String {
        let digits = String(version)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits + "_" + name
    }

    public init(version: Int, name: String, sql: String) {
        self.version = version
        self.name = name
        self.sql = sql
    }

    private init(_ version: Int, _ name: String, _ bytes: [UInt8]) {
        self.init(version: version, name: name, sql: String(decoding: bytes, as: UTF8.self))
    }

    /// All steps in order; a test compares them with the folder.
    public static let all: [Migration] = [
        Migration(1, "roles", PackageResources._001_roles_sql),
        Migration(2, "application_tables", PackageResources._002_application_tables_sql),
        Migration(3, "jobs", PackageResources._003_jobs_sql),
        Migration(4, "settings_cache_limits", PackageResources._004_settings_cache_limits_sql),
        Migration(5, "queues_schedules_webhooks", PackageResources._005_queues_schedules_webhooks_sql),
        Migration(6, "fill_defaults_procedure", PackageResources._006_fill_defaults_procedure_sql),
        Migration(7, "fill_defaults", PackageResources._007_fill_defaults_sql),
        Migration(8, "api_requests", PackageResources._008_api_requests_sql),
        Migration(9, "job_events", PackageResources._009_job_events_sql),
        Migration(10, "wakeups", PackageResources._010_wakeups_sql),
        Migration(11, "audit", PackageResources._011_audit_sql),
        Migration(12, "schedules", PackageResources._012_schedules_sql),
        Migration(13, "lists", PackageResources._013_lists_sql),
        Migration(14, "schedule_bounds", PackageResources._014_schedule_bounds_sql),
        Migration(15, "later_jobs", PackageResources._015_later_jobs_sql),
        Migration(16, "change_announcements", PackageResources._016_change_announcements_sql),
        Migration(17, "trusted_roles", PackageResources._017_trusted_roles_sql),
        Migration(18, "webhooks", PackageResources._018_webhooks_sql),
        Migration(19, "dependencies", PackageResources._019_dependencies_sql),
        Migration(20, "workflows", PackageResources._020_workflows_sql),
        Migration(21, "dead_letters", PackageResources._021_dead_letters_sql),
        Migration(22, "operations", PackageResources._022_operations_sql),
        Migration(23, "archive", PackageResources._023_archive_sql),
        Migration(24, "queue_rules", PackageResources._024_queue_rules_sql),
        Migration(25, "short_conditions", PackageResources._025_short_conditions_sql),
        Migration(26, "sessions", PackageResources._026_sessions_sql),
        Migration(27, "list_kinds", PackageResources._027_list_kinds_sql),
        Migration(28, "quick_announcements", PackageResources._028_quick_announcements_sql),
        Migration(29, "alerts", PackageResources._029_alerts_sql),
        Migration(30, "run_figures", PackageResources._030_run_figures_sql),
        Migration(31, "list_searches", PackageResources._031_list_searches_sql),
        Migration(32, "wide_fans", PackageResources._032_wide_fans_sql),
        Migration(33, "wakeups_by_type", PackageResources._033_wakeups_by_type_sql),
    ]
}
