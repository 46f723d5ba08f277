/* SPDX-License-Identifier: Apache-2.0 */
/* strata save: images as an OCI layout, or an archive of docker's old form. */
#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include <stdio.h>
#include <unistd.h>

int verb_save(struct cli *c, int argc, char **argv)
{
	const char *output = "-", *format = "oci-archive";
	const struct option_def options[] = {
		{ 'o', "output", OPT_STR, &output, "PATH",
		  "where to (standard output, for a tar)" },
		{ 0, "format", OPT_STR, &format, "FORMAT",
		  "oci-archive: a tar (default); oci-dir: a folder; docker-archive" },
		{ 0 },
	};
	const struct usage u = { "save",
				 "[OPTIONS] IMAGE...",
				 "Writes images as an OCI layout, byte for byte as they came.",
				 options,
				 1,
				 -1,
				 false };
	static const char *const formats[] = { [SAVE_OCI_FOLDER] = "oci-dir",
					       [SAVE_OCI_ARCHIVE] = "oci-archive",
					       [SAVE_DOCKER_ARCHIVE] = "docker-archive" };
	enum save_format as = 0;
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	while (as < ARRAY_SIZE(formats) && !streq(format, formats[as]))
		as++;
	if (as == ARRAY_SIZE(formats))
		return cli_fail_text("save: --format '%s': must be oci-archive, oci-dir or "
				     "docker-archive",
				     format);
	if (streq(output, "-") && (as == SAVE_OCI_FOLDER || isatty(1)))
		return cli_fail_text("save: name where to by --output");
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	r = store_save(engine_store(c->engine), argv, output, as);
	return r < 0 ? cli_fail(r) : 0;
}
