const TOKEN = /slc_[A-Za-z0-9_.~+/=-]*/g;

/** People paste tokens where they do not belong, and messages quote what was found. */
export const withoutTokens = (text: string): string => text.replace(TOKEN, 'slc_[removed]');
