#include "storage/db.h"

int hm_planted;
