import CLibCurl

/// One request on its way: owns a libcurl easy handle and gathers the answer.
///
/// Not `Sendable`: it lives and dies on the client's thread.
final class Transfer {
    /// Status lines, headers and trailers of one request together, interim answers included.
    static let headerBytesMax = 64 * 1024

    let call: Call
    let easy: UnsafeMutableRawPointer
    /// Why the handle can't be used, if so.
    private(set) var setUpFailure: HTTPError?

    private var headerList: UnsafeMutablePointer<curl_slist>?
    private var hostList: UnsafeMutablePointer<curl_slist>?
    /// libcurl's sentence about a failure, NUL-terminated.
    private let message: UnsafeMutablePointer<CChar>
    private var headers: [(name: String, value: String)] = []
    private var headerBytes = 0
    private var body: [UInt8] = []
    /// The body became too long for a request that doesn't need it.
    private var isCutOff = false
    /// Why a callback told libcurl to stop.
    private var refusal: HTTPError?

    init(_ call: Call, configuration: Client.Configuration) {
        guard let easy = curl_easy_init() else { preconditionFailure("curl_easy_init: no memory") }
        self.call = call
        self.easy = easy
        message = .allocate(capacity: Int(CURL_ERROR_SIZE))
        message.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        setTarget(configuration)
        setHeaders(configuration)
        setLimits(configuration)
        setReach(configuration)
        let context = Unmanaged.passUnretained(self).toOpaque()
        check(shim_easy_set_pointer(easy, CURLOPT_ERRORBUFFER, message))
        check(shim_easy_set_pointer(easy, CURLOPT_WRITEDATA, context))
        check(shim_easy_set_receiver(easy, CURLOPT_WRITEFUNCTION, receiveBody))
        check(shim_easy_set_pointer(easy, CURLOPT_HEADERDATA, context))
        check(shim_easy_set_receiver(easy, CURLOPT_HEADERFUNCTION, receiveHeader))
    }

    deinit {
        // The handle first: it still points to the others.
        curl_easy_cleanup(easy)
        curl_slist_free_all(headerList)
        curl_slist_free_all(hostList)
        message.deallocate()
    }

    // MARK: Setting up

    private func setTarget(_ configuration: Client.Configuration) {
        let request = call.request
        check(shim_easy_set_string(easy, CURLOPT_URL, request.url))
        check(shim_easy_set_string(easy, CURLOPT_PROTOCOLS_STR, "http,https"))
        check(shim_easy_set_long(easy, CURLOPT_FOLLOWLOCATION, 0))
        if let path = request.unixSocketPath {
            check(shim_easy_set_string(easy, CURLOPT_UNIX_SOCKET_PATH, path))
            check(shim_easy_set_string(easy, CURLOPT_PROXY, ""))
        }
        if request.method == "HEAD" {
            check(shim_easy_set_long(easy, CURLOPT_NOBODY, 1))
        } else if let body = request.body ?? (["POST", "PUT", "PATCH"].contains(request.method) ? [] : nil) {
            check(shim_easy_set_long(easy, CURLOPT_POST, 1))
            // Before the bytes: libcurl copies as many as this says.
            check(shim_easy_set_size(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.count)))
            if body.isEmpty {
                check(shim_easy_set_string(easy, CURLOPT_COPYPOSTFIELDS, ""))
            } else {
                check(body.withUnsafeBytes { shim_easy_set_pointer(easy, CURLOPT_COPYPOSTFIELDS, $0.baseAddress) })
            }
            check(shim_easy_set_string(easy, CURLOPT_CUSTOMREQUEST, request.method))
        } else {
            check(shim_easy_set_string(easy, CURLOPT_CUSTOMREQUEST, request.method))
        }
    }

    private func setHeaders(_ configuration: Client.Configuration) {
        let headers = call.request.headers
        check(shim_easy_set_string(easy, CURLOPT_USERAGENT, configuration.userAgent))
        check(shim_easy_set_string(easy, CURLOPT_ACCEPT_ENCODING, "gzip"))
        // Without a colon's value libcurl leaves a header out; what it would add by itself to a body
        // is a form's type, and a question that costs a round trip.
        for name in ["Content-Type", "Expect"]
        where !headers.contains(where: { $0.name.lowercased() == name.lowercased() }) {
            append("\(name):")
        }
        // A semicolon: the header is there, and empty.
        for (name, value) in headers { append(value.isEmpty ? "\(name);" : "\(name): \(value)") }
        check(shim_easy_set_pointer(easy, CURLOPT_HTTPHEADER, headerList))
    }

    private func append(_ header: String) {
        guard let longer = curl_slist_append(headerList, header) else {
            check(CURLE_OUT_OF_MEMORY)
            return
        }
        headerList = longer
    }

    private func setLimits(_ configuration: Client.Configuration) {
        let request = call.request
        check(shim_easy_set_long(easy, CURLOPT_NOSIGNAL, 1))
        // Without this, giving up during name resolution would wait for the resolver's thread.
        check(shim_easy_set_long(easy, CURLOPT_QUICK_EXIT, 1))
        check(shim_easy_set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, request.connectTimeout.wholeMilliseconds))
        if let stallTimeout = configuration.stallTimeout {
            check(shim_easy_set_long(easy, CURLOPT_LOW_SPEED_LIMIT, 1))
            check(shim_easy_set_long(easy, CURLOPT_LOW_SPEED_TIME, (stallTimeout.wholeMilliseconds + 999) / 1000))
        }
        check(shim_easy_set_long(easy, CURLOPT_TCP_KEEPALIVE, 1))
        check(shim_easy_set_long(easy, CURLOPT_TCP_KEEPIDLE, 30))
        check(shim_easy_set_long(easy, CURLOPT_TCP_KEEPINTVL, 15))
        // Refuses an announced length before the first byte; the rest is counted as it comes.
        if request.maxResponseBytes > 0, request.method != "HEAD" {
            check(shim_easy_set_size(easy, CURLOPT_MAXFILESIZE_LARGE, curl_off_t(request.maxResponseBytes)))
        }
    }

    private func setReach(_ configuration: Client.Configuration) {
        for host in configuration.hosts { hostList = curl_slist_append(hostList, host) ?? hostList }
        if hostList != nil { check(shim_easy_set_pointer(easy, CURLOPT_RESOLVE, hostList)) }
        if !call.request.usesProxy || call.request.reach == .publicAddresses {
            check(shim_easy_set_string(easy, CURLOPT_PROXY, ""))
        }
        guard call.request.reach == .publicAddresses else { return }
        let context = Unmanaged.passUnretained(self).toOpaque()
        check(shim_easy_set_pointer(easy, CURLOPT_OPENSOCKETDATA, context))
        check(shim_easy_set_opener(easy, openSocket))
        // A kept connection may have been opened while more was allowed.
        check(shim_easy_set_pointer(easy, CURLOPT_PREREQDATA, context))
        check(shim_easy_set_inspector(easy, inspectConnection))
    }

    private func check(_ result: CURLcode) {
        guard result != CURLE_OK, setUpFailure == nil else { return }
        setUpFailure = .transport(code: Int(result.rawValue), String(cString: curl_easy_strerror(result)))
    }

    // MARK: Connecting

    /// Whether a connection may go there; says so in the outcome if not.
    fileprivate func allows(_ address: RemoteAddress?, port: Int) -> Bool {
        guard let address, address.isPublic else {
            refusal = .addressRefused(
                "the address \(address.map { "\($0)" } ?? "of that kind") is not a public one, and may not be reached")
            return false
        }
        guard port >= 1024 || port == 80 || port == 443 else {
            refusal = .addressRefused("the port \(port) may not be reached: of those below 1024 only 80 and 443")
            return false
        }
        return true
    }

    // MARK: Receiving

    fileprivate func receive(body bytes: UnsafeRawBufferPointer) -> Bool {
        guard body.count + bytes.count <= call.request.maxResponseBytes else {
            if call.request.ignoresLongBody {
                isCutOff = true
            } else {
                refusal = .responseTooLarge(limit: call.request.maxResponseBytes)
            }
            return false
        }
        body.append(contentsOf: bytes)
        return true
    }

    /// Takes one line: a status line, a header, or the empty line at the end.
    fileprivate func receive(header bytes: UnsafeRawBufferPointer) -> Bool {
        headerBytes += bytes.count
        guard headerBytes <= Self.headerBytesMax else {
            refusal = .headersTooLarge
            return false
        }
        if bytes.starts(with: "HTTP/".utf8) {
            // An interim answer, or a proxy's, came before.
            headers.removeAll()
            return true
        }
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")) else { return true }
        let name = String(decoding: bytes[..<colon], as: UTF8.self)
        headers.append((name, String(decoding: bytes[(colon + 1)...].trimmed, as: UTF8.self)))
        return true
    }

    // MARK: The end

    /// What the caller gets, now that libcurl is done with `result`.
    func outcome(of result: CURLcode, stallTimeout: Duration?) -> Call.Outcome {
        // One of a name's addresses may have been refused, and another one taken.
        if let refusal, result != CURLE_OK { return .failure(refusal) }
        if isCutOff || (result == CURLE_FILESIZE_EXCEEDED && call.request.ignoresLongBody) {
            return .success(Response(status: status, headers: headers, body: []))
        }
        switch result {
        case CURLE_OK: return .success(Response(status: status, headers: headers, body: body))
        case CURLE_OPERATION_TIMEDOUT:
            // libcurl watches two limits, and doesn't say which was reached.
            var connected: curl_off_t = 0
            shim_easy_get_size(easy, CURLINFO_PRETRANSFER_TIME_T, &connected)
            return .failure(
                HTTPError.timedOut(
                    after: connected == 0 ? call.request.connectTimeout : stallTimeout ?? call.request.timeout))
        case CURLE_FILESIZE_EXCEEDED:
            return .failure(HTTPError.responseTooLarge(limit: call.request.maxResponseBytes))
        case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL:
            return .failure(HTTPError.invalidURL("\(sentence(result)): \(call.request.url.withoutSecrets)"))
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_CONNECT,
            CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION:
            return .failure(HTTPError.connectionFailed(sentence(result)))
        default:
            return .failure(HTTPError.transport(code: Int(result.rawValue), sentence(result)))
        }
    }

    private var status: Int {
        var status = 0
        shim_easy_get_long(easy, CURLINFO_RESPONSE_CODE, &status)
        return status
    }

    private func sentence(_ result: CURLcode) -> String {
        let own = String(cString: message)
        return own.isEmpty ? String(cString: curl_easy_strerror(result)) : own
    }
}

extension Slice<UnsafeRawBufferPointer> {
    /// Without the spaces and line ends around it.
    fileprivate var trimmed: Slice<UnsafeRawBufferPointer> {
        let isBlank = { (byte: UInt8) in byte == 0x20 || byte == 0x09 || byte == 0x0D || byte == 0x0A }
        let start = drop(while: isBlank)
        guard let last = start.lastIndex(where: { !isBlank($0) }) else { return start }
        return start[...last]
    }
}

// Free functions, not closures: C calls them on the client's thread, where no isolation holds.

private func openSocket(
    _ context: UnsafeMutableRawPointer?, _ purpose: curlsocktype, _ target: UnsafeMutablePointer<curl_sockaddr>?
) -> curl_socket_t {
    guard let context, let target else { return shim_bad_socket }
    let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
    var bytes = [UInt8](repeating: 0, count: 16)
    var port: Int32 = 0
    let count = Int(shim_address_bytes(target, &bytes, &port))
    let address = count == 0 ? nil : RemoteAddress(bytes: Array(bytes.prefix(count)))
    return transfer.allows(address, port: Int(port)) ? shim_open_socket(target) : shim_bad_socket
}

private func inspectConnection(
    _ context: UnsafeMutableRawPointer?, _ remote: UnsafeMutablePointer<CChar>?, _ local: UnsafeMutablePointer<CChar>?,
    _ remotePort: Int32, _ localPort: Int32
) -> Int32 {
    guard let context, let remote else { return CURL_PREREQFUNC_ABORT }
    let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
    let address = RemoteAddress(text: String(cString: remote))
    return transfer.allows(address, port: Int(remotePort)) ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT
}

private func receiveBody(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let context else { return 0 }
    let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
    let length = size * count
    return transfer.receive(body: UnsafeRawBufferPointer(start: bytes, count: length)) ? length : 0
}

private func receiveHeader(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let context else { return 0 }
    let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
    let length = size * count
    return transfer.receive(header: UnsafeRawBufferPointer(start: bytes, count: length)) ? length : 0
}
