int hm_planted;
