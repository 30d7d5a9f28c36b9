/// What is to happen, by time; events of one moment in the order in which they were added.
struct EventQueue {
    struct Event {
        let time: Int
        fileprivate let order: Int
        /// Whose event it is: it waits while the process is paused and is dropped when it is dead. `nil`: the world's.
        let process: SimulatedWorker?
        let action: () -> Void
    }

    private var heap: [Event] = []
    private var lastOrder = 0

    private func isEarlier(_ left: Int, _ right: Int) -> Bool {
        let (left, right) = (heap[left], heap[right])
        return left.time != right.time ? left.time < right.time : left.order < right.order
    }

    mutating func add(at time: Int, of process: SimulatedWorker?, _ action: @escaping () -> Void) {
        lastOrder += 1
        heap.append(Event(time: time, order: lastOrder, process: process, action: action))
        var child = heap.count - 1
        while child > 0, isEarlier(child, (child - 1) / 2) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func removeFirst() -> Event? {
        guard !heap.isEmpty else { return nil }
        heap.swapAt(0, heap.count - 1)
        let first = heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && isEarlier(child, least) {
                least = child
            }
            if least == parent { return first }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
