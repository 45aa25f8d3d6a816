/* Tells systemd how the service is: ready, alive, stopping. Does nothing when no
 * systemd asked. Loop thread; one datagram each, which never waits long. */
#ifndef HM_DAEMON_NOTIFY_H
#define HM_DAEMON_NOTIFY_H

#include <stdint.h>

void hm_notify_ready(void);
void hm_notify_reloading(void);
void hm_notify_stopping(void);
void hm_notify_alive(void);
/* How often hm_notify_alive() is expected, in ms, halved; 0: never. */
uint64_t hm_notify_every_ms(void);

#endif
