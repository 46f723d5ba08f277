/* SPDX-License-Identifier: Apache-2.0 */
/* strata-net: see network/network.h. */
#include "network/network.h"

int main(int argc, char **argv)
{
	return network_main(argc, argv);
}
