/// Country names to the codes of ISO 3166-1 alpha-2.
enum CountryTable {
    /// The code of a country named in English, with the usual variants; a code stands for itself.
    ///
    /// - Returns: `nil` for an unknown name.
    static func alpha2(of name: String) -> String? {
        let key = folded(name)
        if key.count == 2, let code = codes[key] { return code }
        return names[key]
    }

    private static let names: [String: String] = {
        var names: [String: String] = [:]
        for (code, variants) in countries {
            for variant in variants { names[folded(variant)] = code }
        }
        return names
    }()

    private static let codes = Dictionary(
        uniqueKeysWithValues: countries.map { (folded($0.code), $0.code) } + [("uk", "GB")])

    private static let countries = table.split(separator: "\n").map { line in
        let fields = line.split(separator: "|").map(String.init)
        return (code: fields[0], variants: Array(fields.dropFirst()))
    }

    /// Letters and digits in lower case, without accents; `&` is "and", a leading "the" is dropped.
    private static func folded(_ name: String) -> String {
        var words: [String] = [""]
        for character in name.lowercased() {
            switch character {
            case "&": words += ["and", ""]
            case "'", "’", ".": break
            case "å", "ä", "á", "à", "ã", "â": words[words.count - 1] += "a"
            case "é", "è", "ê", "ë": words[words.count - 1] += "e"
            case "í", "î", "ï": words[words.count - 1] += "i"
            case "ó", "ô", "ö", "õ": words[words.count - 1] += "o"
            case "ú", "ü", "û": words[words.count - 1] += "u"
            case "ç": words[words.count - 1] += "c"
            case "ñ": words[words.count - 1] += "n"
            case _ where character.isLetter || character.isNumber: words[words.count - 1].append(character)
            default: words.append("")
            }
        }
        words.removeAll { $0.isEmpty }
        if words.first == "the", words.count > 1 { words.removeFirst() }
        return words.joined(separator: " ")
    }

    /// The 249 countries of the standard: code, name, variants.
    private static let table = """
        AF|Afghanistan
        AX|Åland Islands|Aland
        AL|Albania
        DZ|Algeria
        AS|American Samoa
        AD|Andorra
        AO|Angola
        AI|Anguilla
        AQ|Antarctica
        AG|Antigua and Barbuda
        AR|Argentina
        AM|Armenia
        AW|Aruba
        AU|Australia
        AT|Austria
        AZ|Azerbaijan
        BS|Bahamas
        BH|Bahrain
        BD|Bangladesh
        BB|Barbados
        BY|Belarus
        BE|Belgium
        BZ|Belize
        BJ|Benin
        BM|Bermuda
        BT|Bhutan
        BO|Bolivia|Plurinational State of Bolivia|Bolivia, Plurinational State of
        BQ|Bonaire, Sint Eustatius and Saba|Caribbean Netherlands|Bonaire
        BA|Bosnia and Herzegovina|Bosnia
        BW|Botswana
        BV|Bouvet Island
        BR|Brazil|Brasil
        IO|British Indian Ocean Territory
        BN|Brunei Darussalam|Brunei
        BG|Bulgaria
        BF|Burkina Faso
        BI|Burundi
        CV|Cabo Verde|Cape Verde
        KH|Cambodia
        CM|Cameroon
        CA|Canada
        KY|Cayman Islands
        CF|Central African Republic
        TD|Chad
        CL|Chile
        CN|China|People's Republic of China|PRC|Mainland China
        CX|Christmas Island
        CC|Cocos (Keeling) Islands|Cocos Islands|Keeling Islands
        CO|Colombia
        KM|Comoros
        CG|Congo|Republic of the Congo|Congo Brazzaville
        CD|Democratic Republic of the Congo|Congo, Democratic Republic of the|Congo, The Democratic Republic of the|DR Congo|DRC|Congo Kinshasa
        CK|Cook Islands
        CR|Costa Rica
        CI|Côte d'Ivoire|Ivory Coast
        HR|Croatia
        CU|Cuba
        CW|Curaçao
        CY|Cyprus
        CZ|Czechia|Czech Republic
        DK|Denmark
        DJ|Djibouti
        DM|Dominica
        DO|Dominican Republic
        EC|Ecuador
        EG|Egypt
        SV|El Salvador
        GQ|Equatorial Guinea
        ER|Eritrea
        EE|Estonia
        SZ|Eswatini|Swaziland
        ET|Ethiopia
        FK|Falkland Islands|Falkland Islands (Malvinas)
        FO|Faroe Islands
        FJ|Fiji
        FI|Finland
        FR|France
        GF|French Guiana
        PF|French Polynesia
        TF|French Southern Territories
        GA|Gabon
        GM|Gambia
        GE|Georgia
        DE|Germany|Federal Republic of Germany|Deutschland
        GH|Ghana
        GI|Gibraltar
        GR|Greece
        GL|Greenland
        GD|Grenada
        GP|Guadeloupe
        GU|Guam
        GT|Guatemala
        GG|Guernsey
        GN|Guinea
        GW|Guinea-Bissau
        GY|Guyana
        HT|Haiti
        HM|Heard Island and McDonald Islands
        VA|Holy See|Vatican City|Vatican|Vatican City State|Holy See (Vatican City State)
        HN|Honduras
        HK|Hong Kong|Hong Kong SAR|Hong Kong SAR China
        HU|Hungary
        IS|Iceland
        IN|India
        ID|Indonesia
        IR|Iran|Islamic Republic of Iran|Iran, Islamic Republic of
        IQ|Iraq
        IE|Ireland|Republic of Ireland
        IM|Isle of Man
        IL|Israel
        IT|Italy|Italia
        JM|Jamaica
        JP|Japan
        JE|Jersey
        JO|Jordan
        KZ|Kazakhstan
        KE|Kenya
        KI|Kiribati
        KP|North Korea|Democratic People's Republic of Korea|Korea, Democratic People's Republic of|DPRK
        KR|South Korea|Korea|Republic of Korea|Korea, Republic of|Korea, South
        KW|Kuwait
        KG|Kyrgyzstan|Kyrgyz Republic
        LA|Laos|Lao People's Democratic Republic|Lao PDR
        LV|Latvia
        LB|Lebanon
        LS|Lesotho
        LR|Liberia
        LY|Libya
        LI|Liechtenstein
        LT|Lithuania
        LU|Luxembourg
        MO|Macao|Macau|Macau SAR China|Macao SAR
        MG|Madagascar
        MW|Malawi
        MY|Malaysia
        MV|Maldives
        ML|Mali
        MT|Malta
        MH|Marshall Islands
        MQ|Martinique
        MR|Mauritania
        MU|Mauritius
        YT|Mayotte
        MX|Mexico
        FM|Micronesia|Federated States of Micronesia|Micronesia, Federated States of
        MD|Moldova|Republic of Moldova|Moldova, Republic of
        MC|Monaco
        MN|Mongolia
        ME|Montenegro
        MS|Montserrat
        MA|Morocco
        MZ|Mozambique
        MM|Myanmar|Burma|Myanmar (Burma)
        NA|Namibia
        NR|Nauru
        NP|Nepal
        NL|Netherlands|Holland|Kingdom of the Netherlands
        NC|New Caledonia
        NZ|New Zealand
        NI|Nicaragua
        NE|Niger
        NG|Nigeria
        NU|Niue
        NF|Norfolk Island
        MK|North Macedonia|Macedonia|Republic of North Macedonia|Macedonia, the former Yugoslav Republic of|FYROM
        MP|Northern Mariana Islands
        NO|Norway
        OM|Oman
        PK|Pakistan
        PW|Palau
        PS|Palestine|State of Palestine|Palestine, State of|Palestinian Territory|Palestinian Territories|Palestinian Territory, Occupied
        PA|Panama
        PG|Papua New Guinea
        PY|Paraguay
        PE|Peru
        PH|Philippines
        PN|Pitcairn|Pitcairn Islands
        PL|Poland
        PT|Portugal
        PR|Puerto Rico
        QA|Qatar
        RE|Réunion
        RO|Romania
        RU|Russia|Russian Federation
        RW|Rwanda
        BL|Saint Barthélemy|St Barthelemy
        SH|Saint Helena, Ascension and Tristan da Cunha|Saint Helena|St Helena
        KN|Saint Kitts and Nevis|St Kitts and Nevis
        LC|Saint Lucia|St Lucia
        MF|Saint Martin|Saint Martin (French part)|St Martin
        PM|Saint Pierre and Miquelon|St Pierre and Miquelon
        VC|Saint Vincent and the Grenadines|St Vincent and the Grenadines
        WS|Samoa
        SM|San Marino
        ST|Sao Tome and Principe
        SA|Saudi Arabia|Kingdom of Saudi Arabia|KSA
        SN|Senegal
        RS|Serbia
        SC|Seychelles
        SL|Sierra Leone
        SG|Singapore
        SX|Sint Maarten|Sint Maarten (Dutch part)
        SK|Slovakia|Slovak Republic
        SI|Slovenia
        SB|Solomon Islands
        SO|Somalia
        ZA|South Africa
        GS|South Georgia and the South Sandwich Islands
        SS|South Sudan
        ES|Spain|España
        LK|Sri Lanka
        SD|Sudan
        SR|Suriname
        SJ|Svalbard and Jan Mayen
        SE|Sweden
        CH|Switzerland
        SY|Syria|Syrian Arab Republic
        TW|Taiwan|Taiwan, Province of China|Republic of China
        TJ|Tajikistan
        TZ|Tanzania|United Republic of Tanzania|Tanzania, United Republic of
        TH|Thailand
        TL|Timor-Leste|East Timor
        TG|Togo
        TK|Tokelau
        TO|Tonga
        TT|Trinidad and Tobago|Trinidad
        TN|Tunisia
        TR|Turkey|Türkiye
        TM|Turkmenistan
        TC|Turks and Caicos Islands
        TV|Tuvalu
        UG|Uganda
        UA|Ukraine
        AE|United Arab Emirates|UAE|Emirates
        GB|United Kingdom|UK|Great Britain|Britain|England|Scotland|Wales|Northern Ireland|United Kingdom of Great Britain and Northern Ireland
        US|United States|USA|United States of America|America
        UM|United States Minor Outlying Islands|US Minor Outlying Islands
        UY|Uruguay
        UZ|Uzbekistan
        VU|Vanuatu
        VE|Venezuela|Bolivarian Republic of Venezuela|Venezuela, Bolivarian Republic of
        VN|Vietnam|Viet Nam
        VG|British Virgin Islands|Virgin Islands, British|Virgin Islands (British)
        VI|US Virgin Islands|U.S. Virgin Islands|Virgin Islands, U.S.|United States Virgin Islands|Virgin Islands (U.S.)
        WF|Wallis and Futuna
        EH|Western Sahara
        YE|Yemen
        ZM|Zambia
        ZW|Zimbabwe
        """
}
