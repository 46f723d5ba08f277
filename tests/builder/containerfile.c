/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/containerfile.h"
#include "base/buf.h"
#include "base/err.h"
#include "tests/builder/tree.h"

static struct containerfile parse(const char *text)
{
	struct containerfile c;
	int r = containerfile_parse("F", text, strlen(text), &c);

	if (r < 0)
		fail_msg("%s", err_take(r));
	return c;
}

static void assert_refused(const char *text, const char *why)
{
	struct containerfile c;
	int r = containerfile_parse("F", text, strlen(text), &c);
	const char *said;

	assert_true(r < 0);
	said = err_take(r);
	if (!str_after(said, why))
		fail_msg("'%s' is not '%s...'", said, why);
}

static void instructions_have_lines(_unused_ void **state)
{
	struct containerfile c = parse("# comment\n\nfrom  x \n  Run a b\n\n\nCMD [\"a\"]");

	assert_int_equal(c.n, 3);
	assert_int_equal(c.all[0].op, OP_FROM);
	assert_string_equal(c.all[0].args, "x");
	assert_int_equal(c.all[0].line, 3);
	assert_int_equal(c.all[1].op, OP_RUN);
	assert_string_equal(c.all[1].args, "a b");
	assert_int_equal(c.all[1].line, 4);
	assert_int_equal(c.all[2].line, 7);
	containerfile_done(&c);
}

static void continuations(_unused_ void **state)
{
	struct containerfile c = parse("RUN a \\\n"
				       "  # no part of it\n"
				       "\n"
				       "  b \\  \n"
				       "c\n"
				       "RUN d \\\\\n"
				       "RUN e \\");

	assert_int_equal(c.n, 3);
	assert_string_equal(c.all[0].args, "a   b c");
	assert_int_equal(c.all[0].line, 1);
	assert_string_equal(c.all[1].args, "d \\\\"); /* two make one, and no continuation */
	assert_int_equal(c.all[1].line, 6);
	assert_string_equal(c.all[2].args, "e");
	containerfile_done(&c);
}

static void line_ends(_unused_ void **state)
{
	struct containerfile c = parse("\xef\xbb\xbf"
				       "FROM x\r\nRUN a \\\r\n b\r\n");

	assert_int_equal(c.n, 2);
	assert_string_equal(c.all[0].args, "x");
	assert_string_equal(c.all[1].args, "a  b");
	containerfile_done(&c);
}

static void escape_directive(_unused_ void **state)
{
	struct containerfile c =
		parse("# syntax=docker/dockerfile:1\n#  Escape = `\nRUN a `\nb \\\nRUN c");

	assert_int_equal(c.escape, '`');
	assert_int_equal(c.n, 2);
	assert_string_equal(c.all[0].args, "a b \\");
	containerfile_done(&c);
	/* Only above all else. */
	c = parse("# a comment\n# escape=`\nRUN a \\\nb");
	assert_int_equal(c.escape, '\\');
	assert_int_equal(c.n, 1);
	containerfile_done(&c);
	assert_refused("# escape=x\nRUN a", "F:1:");
}

static void flags(_unused_ void **state)
{
	struct containerfile c =
		parse("COPY --from=a  --chown=b:c x y\nENV --a=b\nRUN --mount=x ls --all");

	assert_int_equal(strv_len(c.all[0].flags), 2);
	assert_string_equal(c.all[0].flags[1], "--chown=b:c");
	assert_string_equal(c.all[0].args, "x y");
	assert_null(c.all[1].flags);
	assert_string_equal(c.all[1].args, "--a=b");
	assert_int_equal(strv_len(c.all[2].flags), 1);
	assert_string_equal(c.all[2].args, "ls --all");
	containerfile_done(&c);
}

static void heredocs(_unused_ void **state)
{
	struct containerfile c = parse("RUN <<EOF\n"
				       "# not a comment \\\n"
				       " EOF\n"
				       "EOF\n"
				       "COPY <<\"a.txt\" <<-'b' /dst/\n"
				       "$x\n"
				       "a.txt\n"
				       "\t\ttab\n"
				       "\tb\n"
				       "RUN cat <<A \"<<B\" $((1<<2)) <<<c\n"
				       "A\n"
				       "CMD <<EOF");

	assert_int_equal(c.n, 4);
	assert_int_equal(c.all[0].nheredocs, 1);
	assert_string_equal(c.all[0].heredocs[0].body, "# not a comment \\\n EOF\n");
	assert_true(c.all[0].heredocs[0].expand);
	assert_int_equal(c.all[1].line, 5);
	assert_int_equal(c.all[1].nheredocs, 2);
	assert_string_equal(c.all[1].heredocs[0].name, "a.txt");
	assert_string_equal(c.all[1].heredocs[0].body, "$x\n");
	assert_false(c.all[1].heredocs[0].expand);
	assert_string_equal(c.all[1].heredocs[1].body, "tab\n");
	assert_int_equal(c.all[2].nheredocs, 1);
	assert_string_equal(c.all[2].heredocs[0].body, "");
	assert_int_equal(c.all[3].nheredocs, 0);
	containerfile_done(&c);
	assert_refused("FROM x\nRUN <<EOF\na\n", "F:2: the here-document <<EOF does not end");
}

static void refusals(_unused_ void **state)
{
	struct containerfile c;

	assert_refused("FROM x\n\nHEALTHCHECK NONE",
		       "F:3: instruction HEALTHCHECK is not supported");
	assert_refused("ONBUILD RUN x", "F:1: instruction ONBUILD");
	assert_refused("FROM", "F:1: FROM needs an argument");
	assert_refused("RUN \\\n", "F:1: RUN needs an argument");
	assert_refused("", "F: no instruction");
	assert_refused("# only\n", "F: no instruction");
	assert_int_equal(containerfile_parse("F", "RUN a\0b", 7, &c), -EINVAL);
	err_clear();
}

static void bounds(_unused_ void **state)
{
	_buf_done_ struct buf many = { 0 }, docs = { 0 };

	for (unsigned i = 0; i < CONTAINERFILE_INSTRUCTIONS_MAX + 1; i++)
		buf_adds(&many, "RUN x\n");
	assert_refused(many.data, "F:4097: more than 4096 instructions");
	buf_adds(&docs, "RUN");
	for (unsigned i = 0; i < CONTAINERFILE_HEREDOCS_MAX + 1; i++)
		buf_adds(&docs, " <<E");
	for (unsigned i = 0; i < CONTAINERFILE_HEREDOCS_MAX + 1; i++)
		buf_adds(&docs, "\nE");
	assert_refused(docs.data, "F:1: too many here-documents");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(instructions_have_lines),
		cmocka_unit_test(continuations),
		cmocka_unit_test(line_ends),
		cmocka_unit_test(escape_directive),
		cmocka_unit_test(flags),
		cmocka_unit_test(heredocs),
		cmocka_unit_test(refusals),
		cmocka_unit_test(bounds),
	};

	return run_units(tests);
}
