/* SPDX-License-Identifier: Apache-2.0 */
/* The file of --cidfile: made before the instance, and taken away again where none is. */
#ifndef CLI_CIDFILE_H
#define CLI_CIDFILE_H

struct cidfile {
	const char *path; /* NULL: none is wanted, or the id stands in it */
	int fd;
};

/* -EEXIST and the like with a text; @path NULL: nothing is done. */
int cidfile_open(const char *path, struct cidfile *ret);
/* The instance is there: the file stays. */
int cidfile_write(struct cidfile *c, const char *id);
void cidfile_close(struct cidfile *c);

#endif
