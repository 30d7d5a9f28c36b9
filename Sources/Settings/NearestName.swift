/// The candidate with the fewest letters to add, leave out or change; `nil` where none is close enough to be meant.
func nearest(to word: String, among candidates: [String]) -> String? {
    let word = Array(word.lowercased().utf8)
    // Longer than any name by far, and costly to compare.
    guard word.count <= 100 else { return nil }
    return
        candidates
        .map { candidate in (candidate, editDistance(word, Array(candidate.lowercased().utf8))) }
        .filter { candidate, distance in distance <= max(1, candidate.utf8.count / 4) }
        .min { $0.1 < $1.1 }?.0
}

private func editDistance(_ from: [UInt8], _ to: [UInt8]) -> Int {
    var row = Array(0...to.count)
    for (index, letter) in from.enumerated() {
        var diagonal = row[0]
        row[0] = index + 1
        for (column, other) in to.enumerated() {
            let replaced = diagonal + (letter == other ? 0 : 1)
            diagonal = row[column + 1]
            row[column + 1] = min(replaced, row[column] + 1, diagonal + 1)
        }
    }
    return row[to.count]
}
