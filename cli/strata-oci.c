/* SPDX-License-Identifier: Apache-2.0 */
/* strata-oci: the OCI runtime command line. Global options, the log, the verb. */
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "cli/oci.h"
#include <getopt.h>
#include <stdio.h>
#include <sys/stat.h>

static const char help[] =
	"usage: strata-oci [OPTION...] VERB [OPTION...] ID [WORD...]\n"
	"\n"
	"Runs containers for podman, containerd and what else calls an OCI runtime.\n"
	"\n"
	"  --root DIR              where containers are kept (/run/strata-oci)\n"
	"  --log FILE              write errors there too\n"
	"  --log-format text|json\n"
	"  --debug\n"
	"  --systemd-cgroup        accepted: cgroups are made without systemd all the same\n"
	"  --rootless, --cgroup-manager NAME   accepted\n"
	"  -v, --version, -h, --help\n"
	"\n"
	"verbs: create start run exec kill delete state list ps pause resume update events\n"
	"features spec\n"
	"VERB --help says more, and strata-oci(1).\n";

static int bad_usage(const struct oci_call *c)
{
	return oci_fail(c, err(-EINVAL, "unknown global option or value: see strata-oci --help"));
}

static void log_to_file(const struct oci_call *c, const char *text)
{
	_close_ int fd = open(c->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	struct clock_text now = clock_now_text();
	_json_ json_t *j = json_pack("{s:s,s:s%,s:s}", "level", "error", "msg", text, strlen(text),
				     "time", now.s);
	/* In text it is quoted as in JSON: as runc's log has it. */
	_free_ char *msg = json_dumps(json_object_get(j, "msg"), JSON_ENCODE_ANY);
	_free_ char *line = !j || !msg	? NULL :
			    c->log_json ? json_text(j, NULL) :
					  str_fmt("time=\"%s\" level=error msg=%s", now.s, msg);

	if (fd >= 0 && line)
		dprintf(fd, "%s\n", line);
}

int oci_fail(const struct oci_call *c, int r)
{
	char text[ERR_TEXT_MAX];

	str_printable(text, sizeof(text), err_take(r));
	fprintf(stderr, "strata-oci: %s\n", text);
	if (c->log && *c->log)
		log_to_file(c, text);
	return r == -ENOENT && c->o.foreground ? 127 : r == -EACCES && c->o.foreground ? 126 : 1;
}

static const struct oci_verb *find_verb(const char *name)
{
	for (const struct oci_verb *v = oci_verbs; v->name; v++) {
		if (streq(v->name, name))
			return v;
	}
	return NULL;
}

static int run_verb(struct oci_call *c, int argc, char **argv)
{
	const struct oci_verb *v = argc ? find_verb(argv[0]) : NULL;
	int r;

	if (!v)
		return oci_fail(c, argc ? err(-EINVAL, "unknown verb %s", argv[0]) :
					  err(-EINVAL, "no verb: see strata-oci --help"));
	if (argc > 1 && (streq(argv[1], "--help") || streq(argv[1], "-h"))) {
		oci_options_help(v);
		return 0;
	}
	r = oci_options_parse(c, v, argc, argv);
	c->o.env = c->env;
	c->o.caps = c->caps;
	c->o.groups = c->groups;
	if (r >= 0)
		r = v->main(c);
	return r < 0 ? oci_fail(c, r) : r;
}

static int parse(struct oci_call *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "root", required_argument, NULL, 'r' },
		{ "log", required_argument, NULL, 'l' },
		{ "log-format", required_argument, NULL, 'f' },
		{ "debug", no_argument, NULL, 'x' },
		{ "log-level", required_argument, NULL, 'x' },
		{ "systemd-cgroup", no_argument, NULL, 'x' },
		{ "cgroup-manager", required_argument, NULL, 'x' },
		{ "rootless", optional_argument, NULL, 'x' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "+vh", options, NULL)) >= 0) {
		if (opt == 'r')
			c->o.root = optarg;
		else if (opt == 'l')
			c->log = optarg;
		else if (opt == 'f')
			c->log_json = streq(optarg, "json");
		else if (opt != 'x')
			return opt;
	}
	return 0;
}

/* Descriptors 0, 1, 2 are there, or what we open would take their place. */
static int open_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	return fd < 0 ? -errno : fd_close(fd);
}

int main(int argc, char **argv)
{
	struct oci_call c = { .o.argv = argv };
	_free_ char *root = NULL;
	int r;

	log_setup("strata-oci", STDERR_FILENO, LOG_WARN);
	if (fcntl(STDIN_FILENO, F_GETFD) < 0 || fcntl(STDOUT_FILENO, F_GETFD) < 0 ||
	    fcntl(STDERR_FILENO, F_GETFD) < 0)
		open_streams();
	r = parse(&c, argc, argv);
	if (r == 'v') {
		puts("strata-oci version " STRATA_VERSION
		     "\nspec: 1.2.0\n+SECCOMP +CGROUPS_V1 +CGROUPS_V2");
		return 0;
	}
	if (r == 'h') {
		fputs(help, stdout);
		return 0;
	}
	if (r)
		return bad_usage(&c);
	if (!c.o.root && !(root = oci_default_root()))
		return oci_fail(&c, -ENOMEM);
	if (root)
		c.o.root = root;
	r = run_verb(&c, argc - optind, argv + optind);
	strv_free(c.env);
	strv_free(c.caps);
	strv_free(c.groups);
	json_decref(c.update);
	return fflush(stdout) ? 1 : r;
}
