/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/builder/fake.h"

static size_t layers(const struct fake *f)
{
	return json_array_size(json_get_array(json_get_object(f->config, "rootfs"), "diff_ids"));
}

static void steps_make_layers_and_config(void **state)
{
	struct fake *f = *state;
	const json_t *history, *run;
	_free_ char *text = NULL;

	tree_file(f->context, "file", "data");
	assert_built(f, "FROM base\n"
			"ENV A=1 B=\"two words\"\n"
			"RUN write made 1\n"
			"COPY file dir/\n"
			"WORKDIR /dir\n"
			"WORKDIR sub\n"
			"USER 1:2\n"
			"CMD [\"x\", \"y\"]\n");
	assert_int_equal(layers(f), 3); /* /dir was there */
	assert_root_file(f, "dir/file", "data");
	assert_root_file(f, "made", "1");
	history = json_get_array(f->config, "history");
	assert_int_equal(json_array_size(history), 7);
	run = json_array_get(history, 1);
	assert_string_equal(json_get_str(run, "created_by"), "/bin/sh -c write made 1");
	assert_string_equal(json_get_str(run, "created"), "2001-09-09T01:46:40.000000000Z");
	assert_int_equal(json_get_bool(run, "empty_layer", 0), 0);
	assert_int_equal(json_get_bool(json_array_get(history, 0), "empty_layer", 0), 1);
	assert_int_equal(json_get_bool(json_array_get(history, 3), "empty_layer", 0), 1);
	assert_string_equal(json_get_str(json_array_get(history, 2), "created_by"), "COPY file dir/");
	text = json_text(json_get_object(f->config, "config"), NULL);
	assert_string_equal(text, "{\"Cmd\":[\"x\",\"y\"],\"Env\":[\"A=1\",\"B=two words\"],\"User\":\"1:2\","
				  "\"WorkingDir\":\"/dir/sub\"}");
	assert_string_equal(f->lines[2], "STEP 3/8: RUN write made 1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(steps_make_layers_and_config, fake_open, fake_close),
	};

	return run_units(tests);
}
