#include "daemon/notify.h"

#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <time.h>

void hm_notify_ready(void)
{
    (void)sd_notify(0, "READY=1");
}

void hm_notify_reloading(void)
{
    struct timespec now;
    char text[96];

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
                   (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    (void)sd_notify(0, text);
}

void hm_notify_stopping(void)
{
    (void)sd_notify(0, "STOPPING=1");
}

void hm_notify_alive(void)
{
    (void)sd_notify(0, "WATCHDOG=1");
}

uint64_t hm_notify_every_ms(void)
{
    uint64_t usec = 0;

    return sd_watchdog_enabled(0, &usec) > 0 ? usec / 2000 : 0;
}
