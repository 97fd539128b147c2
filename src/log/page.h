/*
 * log/page: what the files of log may do with a page beyond log/read.h.
 */
#ifndef TIDEGATE_LOG_PAGE_H
#define TIDEGATE_LOG_PAGE_H

#include "log/read.h"

/* Back to the first record. */
void page_rewind(log_page *p);

#endif
