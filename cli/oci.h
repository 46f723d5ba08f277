/* SPDX-License-Identifier: Apache-2.0 */
/* strata-oci: what its verbs share. */
#ifndef CLI_OCI_H
#define CLI_OCI_H

#include "oci/oci.h"

struct oci_call {
	struct oci_options o;
	const char *log; /* a file for messages too, or NULL */
	bool log_json;
	/* of the verb */
	bool all, force, detach, quiet, keep, rootless, stats;
	const char *format, *resources;
	unsigned interval; /* seconds */
	json_t *update;	   /* what single options of `update` say */
	char **env, **caps, **groups;
	char **rest; /* behind the options, NULL at the end */
	size_t nrest;
};

struct oci_verb {
	const char *name, *args; /* what follows the options */
	const char *options;	 /* the names of those that it has, each with a blank behind */
	size_t min, max;	 /* words behind the options */
	int (*main)(struct oci_call *c);
	bool first; /* options end at the first word that is none */
};
extern const struct oci_verb oci_verbs[]; /* NULL behind the last */

/* oci_options.c: those of @v in @argv: 0, or -EINVAL with a text. */
int oci_options_parse(struct oci_call *c, const struct oci_verb *v, int argc, char **argv);
void oci_options_help(const struct oci_verb *v);

/* oci_list.c */
int oci_verb_list(struct oci_call *c);
int oci_verb_ps(struct oci_call *c);
int oci_print(json_t *j);

/* Prints and logs an error whose text waits; the exit status. */
int oci_fail(const struct oci_call *c, int r);

#endif
