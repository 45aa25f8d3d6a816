#include "tests/support/ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT_FIRST = 12000, PORT_COUNT = 18000 };

int hm_port_listen(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int on = 1;

    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, 64) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

uint16_t hm_port_free(void)
{
    static unsigned tried;

    while (tried < PORT_COUNT) {
        /* Processes start far apart, so that two at once seldom try the same. */
        unsigned offset = ((unsigned)getpid() * 97U + tried++) % PORT_COUNT;
        uint16_t port = (uint16_t)(PORT_FIRST + offset);
        int fd = hm_port_listen(port);

        if (fd >= 0) {
            (void)close(fd);
            return port;
        }
    }
    (void)fprintf(stderr, "no free port on 127.0.0.1\n");
    exit(1);
}
