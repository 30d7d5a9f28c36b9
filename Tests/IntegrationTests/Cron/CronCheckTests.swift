import Cron
import Postgres
import Support
import Testing

/// The database's check of cron expressions beside the program's reader.
@Suite(.database()) struct CronCheckTests {
    let database = TestDatabase.current

    private static let words = [
        "*", "*/5", "*/0", "0", "1", "5", "7", "8", "12", "13", "23", "24", "31", "32", "59", "60", "1-5", "5-1",
        "10-20/3",
        "20-10", "1,2,3", "1,,2", "1,", "L", "5L", "FRIL", "LL", "JAN", "MON", "SUN", "JUL", "NOV-FEB", "SAT-MON",
        "FRI-SUN",
        "MON-FRI/2", "mon", "?", "1,?", "?/2", "*/", "/5", "-5", "5-", "1-2-3", "1/2/3", "3/10", "31/2", "FEB", "30",
        "FOO",
        "10000", "00005", "*-5", "2,FEB", "ä", "0x1", "+1", "1 ", "L-3", "7L", "8L", "4,6,9,11",
    ]

    @Test func `both take the same expressions`() async throws {
        var generator = SystemRandomNumberGenerator()
        var texts = [
            "", " ", "@daily", "@Hourly", "@reboot", "@", "@daily x", "* * * *", "* * * * * *", "\t0\t0 * * *  ",
        ]
        texts += Self.words.flatMap { word in
            (0..<5).map { place in (0..<5).map { $0 == place ? word : "*" }.joined(separator: " ") }
        }
        for _ in 0..<3000 {
            texts.append((0..<5).map { _ in Self.words.randomElement(using: &generator) ?? "*" }.joined(separator: " "))
        }
        // Mostly right ones, so that the rules across fields are met as well.
        for _ in 0..<1000 {
            let day = ["29", "30", "31", "30-31", "31,L", "*", "*/31"].randomElement(using: &generator) ?? ""
            let month =
                ["FEB", "2", "4,6", "FEB-APR", "NOV-FEB", "*/2", "2/2", "11-2/3", "*"].randomElement(using: &generator)
                ?? ""
            let weekday = ["*", "?", "*/1", "*/2", "MON", "0-6"].randomElement(using: &generator) ?? ""
            texts.append("0 0 \(day) \(month) \(weekday)")
        }
        try await database.run(
            """
            CREATE FUNCTION public.takes(expression text) RETURNS boolean LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM jobworker.check_cron(expression);
                RETURN true;
            EXCEPTION WHEN invalid_parameter_value THEN
                RETURN false;
            END
            $$;
            """)
        let rows = try await database.query(
            """
            SELECT given.text, public.takes(given.text) AS is_taken FROM unnest(\(texts)) AS given (text)
            """)
        var taken = 0
        for row in rows {
            let text: String = try row.decode("text")
            let isTaken: Bool = try row.decode("is_taken")
            let ours = (try? CronExpression(text)) != nil
            if ours { taken += 1 }
            #expect(isTaken == ours, "'\(text)': the database \(isTaken ? "takes" : "refuses") it")
        }
        #expect(taken > 500)
        #expect(rows.count - taken > 500)
    }
}
