/// Runs `body` and cancels it when `limit` has passed; `body` must end when cancelled.
///
/// - Returns: Whether it ended by itself.
@discardableResult
func withTimeLimit(_ limit: Duration, _ body: @escaping @Sendable () async -> Void) async -> Bool {
    await withTaskGroup(of: Bool.self) { race in
        race.addTask {
            await body()
            return !Task.isCancelled
        }
        race.addTask {
            try? await Task.sleep(for: limit)
            return false
        }
        let endedByItself = await race.next() ?? false
        race.cancelAll()
        return endedByItself
    }
}
