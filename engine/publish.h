/* SPDX-License-Identifier: Apache-2.0 */
/* A published port, as docker's -p writes it: [ADDRESS:]HOST:GUEST[/tcp|/udp]. */
#ifndef ENGINE_PUBLISH_H
#define ENGINE_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

struct publish {
	char address[16]; /* IPv4 of the host to listen on; "" = all */
	uint16_t host, guest;
	bool udp;
};

/* -EINVAL with a text. */
int publish_parse(const char *text, struct publish *ret);

#endif
