/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /etc/resolv.conf and /etc/hosts of an instance, made anew for each start and bound over its
 * image's, which know nothing of it.
 */
#ifndef ENGINE_ETC_FILES_H
#define ENGINE_ETC_FILES_H

#include "engine/spec.h"

#define ETC_FILES_MAX 2

struct etc_file {
	const char *path;
	char *text;
};

struct etc_files {
	struct etc_file files[ETC_FILES_MAX];
	size_t n;
};

/*
 * @resolv: what its network says of resolvers, or NULL for nothing; @address, @gateway: of its
 * eth0, NULL for none. With the host's network there are those alone that differ from the host's.
 * End with etc_files_done(), also after a failure.
 */
int etc_files_make(const struct run_spec *s, const char *resolv, const uint8_t *address,
		   const uint8_t *gateway, struct etc_files *ret);
void etc_files_done(struct etc_files *f);

#endif
