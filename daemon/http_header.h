/* One HTTP header line, for requests and answers of server and client. Borrowed text.
 */
#ifndef HM_DAEMON_HTTP_HEADER_H
#define HM_DAEMON_HTTP_HEADER_H

struct hm_http_header {
    const char *name;
    const char *value;
};

#endif
