/*
 * cli/database: the connection of a command that works on the database directly.
 *
 * Threads  main thread only.
 * Errors   ERR_INVALID_REQUEST no database is configured and none of `tidegate dev` runs here; ERR_NOT_READY the schema
 *          is not this binary's; those of db/conn, with the server's own words in the message, for they are the user's.
 */
#ifndef TIDEGATE_CLI_DATABASE_H
#define TIDEGATE_CLI_DATABASE_H

#include "auth/actor.h"
#include "config/config.h"
#include "db/conn.h"

/* To the database of the settings, else to the one that `tidegate dev` runs in ./.tidegate. */
bool cli_database_open(const config *settings, db_conn **out, err *e) MUST_CHECK;

enum { CLI_ACTOR_MAX = 128 };

/* Who runs this command, for the audit: "cli:<user>". The name is kept in `text`. */
auth_actor cli_database_actor(char text[CLI_ACTOR_MAX]);

#endif
