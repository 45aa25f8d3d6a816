#include "tests/support/https.h"

#include <stdio.h>

#include <curl/curl.h>

static size_t take(char *data, size_t size, size_t count, void *arg)
{
    struct hm_buf *reply = arg;

    if (reply != NULL) {
        hm_buf_append(reply, hm_bytes_of(data, size * count));
    }
    return size * count;
}

static struct curl_slist *make_headers(const struct hm_https_request *request)
{
    struct curl_slist *list = curl_slist_append(
        NULL, request->asks_first ? "Expect: 100-continue" : "Expect:");
    char text[512];

    (void)snprintf(text, sizeof text, "Content-Type: %s",
                   request->type == NULL ? "application/octet-stream" : request->type);
    list = curl_slist_append(list, text);
    if (request->token != NULL) {
        (void)snprintf(text, sizeof text, "Authorization: Bearer %s", request->token);
        list = curl_slist_append(list, text);
    }
    return list;
}

long hm_https_send(const struct hm_https_request *request)
{
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = make_headers(request);
    char url[256];
    long status = 0;

    if (curl == NULL) {
        goto done;
    }
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%u%s", (unsigned)request->port,
                   request->path);
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)HM_HTTPS_S);
    (void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, request->reply);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (request->method == NULL) {
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                               (curl_off_t)request->len);
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS,
                               request->body == NULL ? "" : request->body);
    } else {
        (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    }
    /* A server may answer and close before it has read a large body: the answer
     * counts, whatever became of the upload. */
    (void)curl_easy_perform(curl);
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);

done:
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    return status;
}
