// swift-tools-version: 6.2
import PackageDescription

// Rooms and the order in which they may know each other: docs/architecture.md.

let swiftSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    // A plain async function runs where its caller runs: no hop per database statement.
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

func room(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: swiftSettings)
}

let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let coreMetrics = Target.Dependency.product(name: "CoreMetrics", package: "swift-metrics")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
// RSA, for tokens that are signed with it.
let cryptoExtras = Target.Dependency.product(name: "CryptoExtras", package: "swift-crypto")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
// Hummingbird's connections without its router, and what they are built on: for listening descriptors that others
// opened, and for limits.
let http: [Target.Dependency] = [
    .product(name: "HummingbirdCore", package: "hummingbird"),
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
    .product(name: "NIOHTTP1", package: "swift-nio"),
    .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
    .product(name: "HTTPTypes", package: "swift-http-types"),
]
let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")
let signals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "jobworker",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "JobWorker", targets: ["JobWorker", "Postgres"]),
        .library(name: "JobWorkerTesting", targets: ["JobWorkerTesting"]),
        .library(name: "JobWorkerCommand", targets: ["JobWorkerCommand"]),
        .executable(name: "jobworker", targets: ["jobworker"]),
        .executable(name: "apollo-standin", targets: ["apollo-standin"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics.git", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-crypto.git", from: "4.5.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
        // Without its traits Hummingbird needs no full Foundation.
        .package(
            url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.28.1", traits: []),
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras.git", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-http-types.git", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-system.git", from: "1.8.1"),
        // Without its traits Subprocess needs no full Foundation.
        .package(url: "https://github.com/swiftlang/swift-subprocess.git", from: "1.0.2", traits: []),
    ],
    targets: [
        // C libraries: module maps and the thinnest shims.
        .systemLibrary(
            name: "CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(
            name: "CLibCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(
            name: "CLibSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
        .systemLibrary(
            name: "CLibYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),

        room("Postgres", ["CLibPQ"]),
        room("HTTPClient", ["CLibCurl"]),
        room("Systemd", ["CLibSystemd", logging]),
        room("Logs", [logging, "Systemd"]),
        room("YAML", ["CLibYAML"]),
        room("Cron", []),
        room("Telemetry", [coreMetrics]),
        room("Settings", ["YAML"]),
        .target(
            name: "Migrations",
            path: "Migrations",
            exclude: ["README.md"],
            resources: [
                .embedInCode("0001_roles.sql"),
                .embedInCode("0002_application_tables.sql"),
                .embedInCode("0003_jobs.sql"),
                .embedInCode("0004_settings_cache_limits.sql"),
                .embedInCode("0005_queues_schedules_webhooks.sql"),
                .embedInCode("0006_fill_defaults_procedure.sql"),
                .embedInCode("0007_fill_defaults.sql"),
                .embedInCode("0008_api_requests.sql"),
                .embedInCode("0009_job_events.sql"),
                .embedInCode("0010_wakeups.sql"),
                .embedInCode("0011_audit.sql"),
                .embedInCode("0012_schedules.sql"),
                .embedInCode("0013_lists.sql"),
                .embedInCode("0014_schedule_bounds.sql"),
                .embedInCode("0015_later_jobs.sql"),
                .embedInCode("0016_change_announcements.sql"),
                .embedInCode("0017_trusted_roles.sql"),
                .embedInCode("0018_webhooks.sql"),
                .embedInCode("0019_dependencies.sql"),
                .embedInCode("0020_workflows.sql"),
                .embedInCode("0021_dead_letters.sql"),
                .embedInCode("0022_operations.sql"),
                .embedInCode("0023_archive.sql"),
                .embedInCode("0024_queue_rules.sql"),
                .embedInCode("0025_short_conditions.sql"),
                .embedInCode("0026_sessions.sql"),
                .embedInCode("0027_list_kinds.sql"),
                .embedInCode("0028_quick_announcements.sql"),
                .embedInCode("0029_alerts.sql"),
                .embedInCode("0030_run_figures.sql"),
                .embedInCode("0031_list_searches.sql"),
                .embedInCode("0032_wide_fans.sql"),
                .embedInCode("0033_wakeups_by_type.sql"),
            ],
            swiftSettings: swiftSettings),
        room("JobWorker", ["Postgres", "Migrations", "Cron", crypto, logging, metrics, lifecycle]),
        .target(name: "CProcess"),
        room(
            "Handlers",
            ["CProcess", "JobWorker", "Webhooks", "Postgres", "HTTPClient", "Settings", "YAML", logging]),
        room("Enrichment", ["JobWorker", "Postgres", "HTTPClient", crypto, logging]),
        room("Webhooks", ["JobWorker", "Enrichment", "Postgres", "HTTPClient", crypto]),
        room(
            "Development",
            [
                "JobWorker", "Enrichment", "Postgres", "HTTPClient", "Migrations", subprocess, logging,
                .product(name: "SystemPackage", package: "swift-system"),
            ]),
        room("Explanation", ["JobWorker", "Postgres", "Terminal"]),
        room("Tokens", [crypto, cryptoExtras]),
        room(
            "ControlPlane",
            ["JobWorker", "Postgres", "HTTPClient", "Systemd", "Tokens", crypto, logging, lifecycle] + http),
        room(
            "API",
            [
                "ControlPlane", "JobWorker", "Enrichment", "Webhooks", "Explanation", "HTTPClient", "Postgres",
                "Terminal", "Tokens",
                crypto, logging, lifecycle,
            ] + http),
        .target(
            name: "Dashboard",
            dependencies: ["API", "ControlPlane", "JobWorker", "Postgres", "Terminal", "Tokens", crypto] + http,
            resources: [.embedInCode("Assets/dashboard.css"), .embedInCode("Assets/dashboard.js")],
            swiftSettings: swiftSettings),
        room(
            "Daemon",
            [
                "Dashboard",
                "JobWorker", "Cron", "YAML", "Postgres", "HTTPClient", "Systemd", "Logs", "Settings", "Enrichment",
                "Webhooks", "Handlers", "ControlPlane", "API",
                "Tokens", "Telemetry", metrics, logging, lifecycle, signals,
            ]),

        room("Bench", ["JobWorker", "Handlers", "Postgres", "Development", logging, subprocess]),

        // What the commands share.
        room("Terminal", []),
        room("Doctor", ["JobWorker", "Enrichment", "Webhooks", "Migrations", "Postgres", "Settings", subprocess]),
        room(
            "Console",
            [
                "Terminal", "Doctor", "Explanation", "JobWorker", "Cron", "Migrations", "Enrichment", "Webhooks",
                "Handlers",
                "ControlPlane",
                "HTTPClient", "Postgres", "Settings", "Logs", signals,
            ]),

        // What programs around the library share with 'jobworker': its commands, and what their tests need.
        room(
            "JobWorkerCommand",
            [
                "JobWorker", "Postgres", "HTTPClient", "Systemd", "Logs", "Settings", "Enrichment", "Webhooks",
                "Handlers",
                "ControlPlane", "Daemon", "Development", "Bench", "Migrations", "Terminal", "Doctor", "Console",
                "Explanation", arguments, crypto, logging, lifecycle, signals,
            ]),
        room("JobWorkerTesting", ["JobWorker", "Postgres", "Development", logging]),

        .executableTarget(name: "jobworker", dependencies: ["JobWorkerCommand"], swiftSettings: swiftSettings),
        .executableTarget(
            name: "apollo-standin",
            dependencies: [hummingbird, arguments, logging],
            resources: [.embedInCode("Answers")],
            swiftSettings: swiftSettings),

        // The daemon with job types for tests of faults.
        .executableTarget(
            name: "test-worker",
            dependencies: [
                "JobWorker", "Postgres", "Logs", "Settings", "Systemd", "Daemon", "Terminal", "Console", logging,
            ],
            path: "Tests/TestWorker",
            swiftSettings: swiftSettings),
        .target(
            name: "Support",
            dependencies: [
                "JobWorker", "Postgres", "Enrichment", "HTTPClient", "Development", "Migrations", subprocess, logging,
            ],
            path: "Tests/Support",
            resources: [
                .embedInCode("Fixtures/application-schema.sql"), .embedInCode("Fixtures/application-rows.sql"),
            ],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "UnitTests",
            dependencies: [
                "Support", "Telemetry", "Postgres", "HTTPClient", "Systemd", "Logs", "Settings",
                "Migrations",
                "Cron",
                "JobWorker", "JobWorkerTesting", "Enrichment", "Webhooks", "Handlers", "ControlPlane", "API",
                "Dashboard", "Tokens",
                "Daemon", "Bench",
                "Terminal",
                "Doctor",
                "Console", "Explanation",
                logging, coreMetrics, crypto, cryptoExtras, lifecycle, signals,
            ] + http,
            exclude: ["Explanation/explanations.txt"],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "SimulationTests", dependencies: ["Support", "JobWorker", "Postgres"], swiftSettings: swiftSettings),
        .testTarget(
            name: "IntegrationTests",
            dependencies: [
                "Support", "Postgres", "HTTPClient", "JobWorker", "JobWorkerTesting", "Enrichment", "Webhooks",
                "Handlers", "ControlPlane",
                "API", "Dashboard",
                "Tokens", "Explanation", "Migrations", "Cron",
                "Development", "Bench", logging, crypto, lifecycle, subprocess,
                .product(name: "SystemPackage", package: "swift-system"),
            ] + http,
            exclude: ["CommandLine/Golden"],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "EndToEndTests",
            dependencies: ["Support", "Development", "JobWorker", "Postgres", "HTTPClient", logging],
            exclude: ["Monitoring/alerts.promtool.yaml"],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "SystemdTests",
            dependencies: ["Support", "Development", "JobWorker", "Postgres"],
            exclude: ["README.md"],
            swiftSettings: swiftSettings),
        .executableTarget(
            name: "chaos",
            dependencies: [
                "JobWorker", "Postgres", "Development", "Daemon", "Settings", "Logs", "Webhooks", "Enrichment",
                "Support",
                arguments, logging,
            ],
            path: "Tests/ChaosTests",
            swiftSettings: swiftSettings),
        .testTarget(
            name: "FaultTests",
            dependencies: ["Support", "Development", "JobWorker", "Postgres", "HTTPClient", logging],
            swiftSettings: swiftSettings),
    ]
)

// With CI=true a warning stops the build. Not for everybody: a newer compiler may warn of more.
if ["1", "true"].contains(Context.environment["CI"]) {
    for target in package.targets where target.type != .system {
        target.swiftSettings = (target.swiftSettings ?? []) + [.treatAllWarnings(as: .error)]
    }
}
