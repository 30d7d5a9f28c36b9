import Development
import JobWorker
import Postgres
import Support

extension TestDatabase {
    /// How a worker reaches this database through a proxy.
    func workerSettings(through proxy: FaultProxy) -> ConnectionSettings {
        var settings = workerSettings
        settings.connectionString = proxy.connectionString(database: name, role: TestDatabase.workerRole)
        return settings
    }
}

extension WorkerConfiguration {
    /// Short intervals: what takes minutes in earnest takes seconds here.
    mutating func hasten(lease: Duration = .seconds(2)) {
        pollInterval = .milliseconds(100)
        heartbeatInterval = .milliseconds(100)
        staleAfter = lease
        retry = RetryPolicy(delayBase: .milliseconds(100), delayMax: .milliseconds(100))
    }
}
