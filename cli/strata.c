/* SPDX-License-Identifier: Apache-2.0 */
/* strata: every verb; those that move and make images are strata-image's, so that no run pays for
 * their libraries. */
#include "cli/cli.h"

static const struct verb verbs[] = {
	{ "build", NULL, "build an image from a Containerfile" },
	{ "pull", NULL, "take an image from a registry" },
	{ "push", NULL, "send an image to a registry" },
	{ "login", NULL, "keep a password for a registry" },
	{ "logout", NULL, "forget the password for a registry" },
	{ "import", NULL, "make an image of one layer from a directory or a tar" },
	{ "load", NULL, "take images from an OCI layout (folder or tar)" },
	{ "save", NULL, "write images as an OCI layout (folder or tar)" },
	{ "images", verb_images, "list images" },
	{ "inspect", verb_inspect, "show an image or an instance as JSON" },
	{ "history", verb_history, "show how an image was made" },
	{ "tag", verb_tag, "give an image another name" },
	{ "rmi", verb_rmi, "remove images" },
	{ "gc", verb_gc, "remove what no image and no instance needs" },
	{ "df", verb_df, "say what takes how much of the disk" },
	{ "fsck", NULL, "check every byte of the store" },
	{ "kernel", NULL, "build, import, list, choose and remove kernels of microVMs" },
	{ "run", verb_run, "run a command in an image, as a container or a microVM" },
	{ "create", verb_create, "make an instance without starting it" },
	{ "start", verb_start, "start instances that were created or have ended" },
	{ "restart", verb_restart, "stop instances and start them again" },
	{ "ps", verb_ps, "list instances" },
	{ "logs", verb_logs, "show what an instance printed" },
	{ "stop", verb_stop, "stop instances" },
	{ "kill", verb_kill, "send instances a signal" },
	{ "wait", verb_wait, "wait for the end of instances, print their exit codes" },
	{ "checkpoint", verb_checkpoint, "keep running microVMs in a file, and end them" },
	{ "restore", verb_restore, "have checkpointed microVMs go on" },
	{ "clone", verb_clone, "make microVMs that go on where another one stands" },
	{ "pause", verb_pause, "hold all that runs in instances" },
	{ "unpause", verb_unpause, "let paused instances go on" },
	{ "update", verb_update, "change the limits of instances" },
	{ "attach", verb_attach, "stand in for the client of a running instance" },
	{ "exec", verb_exec, "run a further command in a running instance" },
	{ "top", verb_top, "list the processes of an instance" },
	{ "stats", verb_stats, "show what instances use" },
	{ "cp", verb_cp, "copy files between the host and an instance" },
	{ "diff", verb_diff, "show what an instance changed in its image" },
	{ "commit", NULL, "make an image of an instance and its changes" },
	{ "rename", verb_rename, "give an instance another name" },
	{ "rm", verb_rm, "remove instances with their writable tops" },
	{ "mount", verb_mount, "mount an image with a writable top" },
	{ "umount", verb_umount, "undo a mount" },
	{ "serve", verb_serve, "serve an image to another VMM (vhost-user-fs)" },
	{ "doctor", verb_doctor, "say what this host can do" },
	{ "bench", verb_bench, "measure what starting costs" },
	{ 0 },
};

int main(int argc, char **argv)
{
	return cli_main(verbs, argc, argv);
}
