/* one
 * two
 * three
 * four */
int hm_planted;
