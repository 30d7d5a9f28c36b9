extension String {
    /// The same text with `•••` for each word that may be an e-mail address or somebody's page at LinkedIn.
    ///
    /// For what others wrote, an answer's error or a payload, on its way to where every member can read it.
    var withoutPersonalData: String {
        var result = ""
        var word = ""
        for character in self {
            if character.isWhitespace || String.wordEnds.contains(character) {
                result += word.isPersonal ? "•••" : word
                result.append(character)
                word = ""
            } else {
                word.append(character)
            }
        }
        return result + (word.isPersonal ? "•••" : word)
    }

    private static let wordEnds: Set<Character> = [
        "\"", "'", "`", "<", ">", "(", ")", "[", "]", "{", "}", ",", ";", "=", "&",
    ]

    private var isPersonal: Bool {
        let text = lowercased()
        return text.contains("@") || text.contains("%40")
            || text.contains("linkedin") && (text.contains("/") || text.contains("%2f"))
    }
}
