// swift-tools-version: 6.2
import PackageDescription

// A package as yours might be: a job type of its own, its tests, and a program with the whole command line. Where it
// isn't part of jobworker's own tree, the dependency is a URL and a version in place of the path.

let package = Package(
    name: "words",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "jobworker", path: "../.."),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
    ],
    targets: [
        .target(
            name: "WordJobs",
            dependencies: [
                .product(name: "JobWorker", package: "jobworker"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]),
        .executableTarget(
            name: "words",
            dependencies: ["WordJobs", .product(name: "JobWorkerCommand", package: "jobworker")]),
        .testTarget(
            name: "WordJobsTests",
            dependencies: [
                "WordJobs",
                .product(name: "JobWorker", package: "jobworker"),
                .product(name: "JobWorkerTesting", package: "jobworker"),
            ]),
    ])
