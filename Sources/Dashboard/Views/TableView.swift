/// A table with a caption and a sentence for when it is empty.
struct TableView {
    let caption: String
    let heads: [String]
    var rows: [HTML] = []
    let empty: HTML

    var html: HTML {
        guard !rows.isEmpty else { return "<div class=\"empty\">\(empty)</div>" }
        return """
            <div class="wide" tabindex="0" role="region" aria-label="\(caption)"><table><caption>\(caption)</caption><thead><tr>\(
                heads.map { "<th scope=\"col\">\($0)</th>" as HTML })</tr></thead><tbody>\(rows)</tbody></table></div>
            """
    }
}
