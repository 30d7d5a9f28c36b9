// libcurl, and typed forms of the variadic functions its thread needs, which Swift can't call.
#pragma once
#include <curl/curl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

static inline CURLcode shim_easy_set_long(CURL *easy, CURLoption option, long value) {
    return curl_easy_setopt(easy, option, value);
}

static inline CURLcode shim_easy_set_size(CURL *easy, CURLoption option, curl_off_t value) {
    return curl_easy_setopt(easy, option, value);
}

static inline CURLcode shim_easy_set_string(CURL *easy, CURLoption option, const char *value) {
    return curl_easy_setopt(easy, option, value);
}

static inline CURLcode shim_easy_set_pointer(CURL *easy, CURLoption option, const void *value) {
    return curl_easy_setopt(easy, option, value);
}

// For CURLOPT_WRITEFUNCTION and CURLOPT_HEADERFUNCTION, which have one signature.
static inline CURLcode shim_easy_set_receiver(
    CURL *easy, CURLoption option, size_t (*receiver)(char *, size_t, size_t, void *)) {
    return curl_easy_setopt(easy, option, receiver);
}

static inline CURLcode shim_easy_set_opener(
    CURL *easy, curl_socket_t (*opener)(void *, curlsocktype, struct curl_sockaddr *)) {
    return curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, opener);
}

static inline CURLcode shim_easy_set_inspector(CURL *easy, int (*inspector)(void *, char *, char *, int, int)) {
    return curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, inspector);
}

static const curl_socket_t shim_bad_socket = CURL_SOCKET_BAD;

// The socket that libcurl would open itself.
static inline curl_socket_t shim_open_socket(const struct curl_sockaddr *address) {
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

// The address's bytes in network order, and its port: 4 for IPv4, 16 for IPv6, 0 for anything else.
static inline int shim_address_bytes(const struct curl_sockaddr *address, unsigned char *bytes, int *port) {
    if (address->family == AF_INET && address->addrlen >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in inet;
        memcpy(&inet, &address->addr, sizeof inet);
        memcpy(bytes, &inet.sin_addr, 4);
        *port = ntohs(inet.sin_port);
        return 4;
    }
    if (address->family == AF_INET6 && address->addrlen >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 inet;
        memcpy(&inet, &address->addr, sizeof inet);
        memcpy(bytes, &inet.sin6_addr, 16);
        *port = ntohs(inet.sin6_port);
        return 16;
    }
    return 0;
}

static inline CURLcode shim_easy_get_long(CURL *easy, CURLINFO info, long *value) {
    return curl_easy_getinfo(easy, info, value);
}

static inline CURLcode shim_easy_get_size(CURL *easy, CURLINFO info, curl_off_t *value) {
    return curl_easy_getinfo(easy, info, value);
}

static inline CURLMcode shim_multi_set_long(CURLM *multi, CURLMoption option, long value) {
    return curl_multi_setopt(multi, option, value);
}

// The next transfer that has ended, with its result; NULL when there is none.
static inline CURL *shim_multi_next_done(CURLM *multi, CURLcode *result) {
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(multi, &left))) {
        if (message->msg != CURLMSG_DONE) continue;
        *result = message->data.result;
        return message->easy_handle;
    }
    return NULL;
}

// At most 15 bytes; shown by ps and top.
static inline void shim_name_this_thread(const char *name) {
    prctl(PR_SET_NAME, name, 0, 0, 0);
}
